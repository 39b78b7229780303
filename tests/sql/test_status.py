"""portal_status: what staff see of each patient."""
import flows


def test_a_registered_patient_is_shown_as_registered(t):
    db = t.database()
    ada = t.patient(db)
    session = flows.register(t, db, ada, 'ada')
    t.equal(flows.status(t, db, ada), 'registered')
    t.equal(flows.patients_of(t, db, session), [ada])


def test_a_patient_with_a_representative_alone_is_shown_as_registered(t):
    db = t.database()
    ada = t.patient(db)
    session = flows.register_representative(t, db, ada, 'rita')
    t.equal(flows.status(t, db, ada), 'registered')
    t.equal(flows.patients_of(t, db, session), [ada])
