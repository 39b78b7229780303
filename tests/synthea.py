"""Synthea's patients.csv: the real one where it is, else some patients in its layout."""
import csv

import harness

PLACES = [harness.ROOT / place / 'data/synthea-patients.csv' for place in ('../shared', 'shared')]
SAMPLE = '''\
Id;BIRTHDATE;DEATHDATE;SSN;DRIVERS;PASSPORT;PREFIX;FIRST;LAST;SUFFIX;MAIDEN;MARITAL;RACE;ETHNICITY;GENDER;BIRTHPLACE;ADDRESS;CITY;STATE;COUNTY;ZIP;LAT;LON;HEALTHCARE_EXPENSES;HEALTHCARE_COVERAGE
1d604da9-9a81-4ba9-80c2-de3375d59b40;5/25/1989;;999-76-6866;S99984236;X19277260X;Mr.;José Eduardo181;Gómez206;;;M;white;hispanic;M;Marigot;427 Balistreri Way Unit 19;Chicopee;Massachusetts;Hampden County;1013;42.2;-72.5;271227.08;1334.88
0a9b2d6e-58f2-4c1f-9d6e-6b1f8a3d7c55;12/10/1985;;999-10-1815;;;Mrs.;Ada;Lovelace;;Byron;M;white;nonhispanic;F;London;12 St James Square;Worcester;Massachusetts;Worcester County;1608;42.3;-71.8;1815.12;185.21
'''


def patients(t):
    """The file, and its rows."""
    file = next((place for place in PLACES if place.exists()), None)
    if file is None:
        file = t.path('patients.csv')
        file.write_text(SAMPLE)
    return file, [*csv.DictReader(file.open(encoding='utf-8-sig'), delimiter=';')]
