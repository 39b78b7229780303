# What is understood of what Tcl binds: numbers that were calculated as such, all else as text; without a variable, NULL.
# Usage: tclsh bound.tcl DATABASE KEYED-BY-TEXT KEY
source [file join [file dirname [info script]] practice.tcl]

proc tell {db patient} {
    puts [refusal {$db onecolumn {SELECT coalesce(send_problem($patient, 'email'), 'may be sent')}}]
}

lassign $argv numbered keyed key
connect db $numbered
foreach patient [list [expr {1 + 1}] [expr {1 + 1.0}] 2] {
    tell db $patient
}
puts [refusal {db onecolumn {SELECT send_problem($nothing, 'email')}}]
foreach request [list [expr {98 + 1}] [expr {98 + 1.0}] 99] {
    puts [refusal {db onecolumn {SELECT accept_request($request)}}]
}
connect keyed $keyed
tell keyed $key
