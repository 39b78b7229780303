"""What calls may cost, in instructions. What they do cost, and where: tests/bench/costs.py."""
import harness

from bench import costs


@harness.release_only
@harness.time_limit(300)
def test_no_call_costs_more_instructions_than_its_budget(t):
    budgets = costs.budgets()
    counted = costs.count(t.directory)
    t.equal([cost.name for cost in counted], [*budgets], 'the calls are not those with a budget')
    dearer = [f'{cost.name}: {cost.instructions:,}, budget {budgets[cost.name]:,}'
              for cost in counted if cost.instructions > budgets[cost.name]]
    t.equal(dearer, [], 'dearer than their budgets')
