# A practice's portal from Tcl: staff send, decide and revoke, a patient signs in.
# Usage: tclsh practice.tcl DATABASE ?PATIENT?
package require sqlite3

# Makes the connection a command of that name.
proc connect {name path {application ehr} {user {}}} {
    sqlite3 $name $path
    $name timeout 10000
    $name enable_load_extension 1
    $name eval {SELECT load_extension('build/portal')}
    $name enable_load_extension 0
    $name eval {SELECT portal_as($application, nullif($user, ''))}
}

proc status {db patient} {
    $db onecolumn {SELECT status FROM portal_status WHERE patient_id = $patient}
}

# What a script fails with, in words.
proc refusal {script} {
    catch {uplevel 1 $script} words
    return $words
}

proc main {path} {
    connect db $path
    catch {
        db transaction {
            db eval {SELECT send_registration(2, 'email')}
            error {rolls it back}
        }
    }
    puts [status db 2]
    puts [db onecolumn {SELECT send_registration(2, 'email')}]
    puts [refusal {db eval {SELECT send_registration(99, 'email')}}]

    db transaction {
        foreach {request field} [db eval {SELECT request_id, field FROM pending_requests WHERE patient_id = 1}] {
            if {$field eq "city"} {
                puts "$field [db onecolumn {SELECT accept_request($request)}]"
            } else {
                puts "$field [db onecolumn {SELECT decline_request($request)}]"
            }
        }
    }

    # Outside of "transaction" every statement is its own: the calls that check a guess want it so.
    connect web $path portal 203.0.113.7
    set sign_in {web onecolumn {SELECT portal_login('ada', 'analytical engine')}}
    puts [refusal {web transaction $sign_in}]
    set login [eval $sign_in]
    # SQLite reads JSON as well.
    web eval {SELECT $login ->> 'result' AS result, $login ->> 'session' AS session} {}
    puts "$result [web onecolumn {SELECT portal_session($session) -> '$.patients[0].patient_id'}]"
    puts [db onecolumn {SELECT revoke_access(1, 'asked for by phone')}]
    puts [web onecolumn {SELECT coalesce(portal_session($session), 'signed out')}]
}

if {[info exists argv0] && [info script] eq $argv0} {
    lassign $argv path patient
    if {$patient eq ""} {
        main $path
    } else {
        connect db $path
        db eval {SELECT send_registration($patient, 'email')}
    }
}
