"""Invented call-centre lines, rich in what callers spell and read out.

`draw_line(rng, part)` gives one line as ordinary written text. Names, places, drugs and
templates are divided between training and test by a hash of themselves, so that a test
line has fillings never trained on, and every second test line an unseen template.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Callable
from typing import Final, Literal

import numpy as np

from qa_monitor.training.recogniser.text import cardinal, digits, ordinal, year

Split = Literal["train", "test"]
Rng = np.random.Generator

_FIRST: Final = """
James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard
Susan Joseph Jessica Thomas Sarah Charles Karen Christopher Lisa Daniel Nancy Matthew Betty
Anthony Margaret Mark Sandra Donald Ashley Steven Kimberly Paul Emily Andrew Donna Joshua Michelle
Kenneth Carol Kevin Amanda Brian Dorothy George Melissa Edward Deborah Ronald Stephanie Timothy
Rebecca Jason Sharon Jeffrey Laura Ryan Cynthia Jacob Kathleen Gary Amy Nicholas Angela Eric
Shirley Jonathan Anna Stephen Brenda Larry Pamela Justin Emma Scott Nicole Brandon Helen Benjamin
Samantha Samuel Katherine Gregory Christine Frank Debra Alexander Rachel Raymond Carolyn Patrick
Janet Jack Catherine Dennis Maria Jerry Heather Tyler Diane Aaron Ruth Jose Julie Adam Olivia
Nathan Joyce Henry Virginia Douglas Victoria Zachary Kelly Peter Lauren Kyle Christina Ethan Joan
Walter Evelyn Noah Judith Jeremy Megan Christian Andrea Keith Cheryl Roger Hannah Terry Jacqueline
Gerald Martha Harold Gloria Sean Teresa Austin Ann Carl Sara Arthur Madison Lawrence Frances Dylan
Kathryn Jesse Janice Jordan Jean Bryan Abigail Billy Alice Joe Julia Bruce Sophia Gabriel Grace
Logan Denise Albert Amber Willie Doris Alan Marilyn Juan Danielle Wayne Beverly Elijah Isabella
Randy Theresa Roy Diana Vincent Natalie Ralph Brittany Eugene Charlotte Russell Marie Bobby Kayla
Mason Alexis Philip Lori Louis Priya Rajesh Aisha Omar Fatima Yusuf Mei Wei Hiroshi Yuki Carlos
Lucia Miguel Rosa Diego Carmen Ahmed Leila Ngozi Chidi Kwame Amara Svetlana Ivan Olga Dmitri
Ingrid Lars Giulia Marco Pierre Claire Siobhan Liam Niamh Declan Rhys Bronwyn Anjali Vikram Deepak
Sunita Hassan Zainab Ibrahim Mariam Kofi Abena Tunde Folake Minh Linh Thanh Jin Soo Hana Kenji
Esperanza Ignacio Guadalupe Ray Marisol Hope Faith Joy Dawn Summer Rose Violet Hunter Chase Art
Bill Rich Will Mona Wanda Trevor Nigel Alistair Gemma Poppy Imogen Callum Hamish Graham Maureen
Doreen Sheila Keisha Tamika Darnell Jamal Latoya Marcus Tyrone Ebony Boris Mirela Zoltan Agnes
Piotr Kasia Tomasz Elena Nadia Farid Samira Karim Rania Tariq Noor
""".split()
_LAST: Final = """
Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez
Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark
Ramirez Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill Flores Green Adams
Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts Gomez Phillips Evans Turner Diaz Parker
Cruz Edwards Collins Reyes Stewart Morris Morales Murphy Cook Rogers Gutierrez Ortiz Morgan Cooper
Peterson Bailey Reed Kelly Howard Ramos Kim Cox Ward Richardson Watson Brooks Chavez Wood James
Bennett Gray Mendoza Ruiz Hughes Price Alvarez Castillo Sanders Patel Myers Long Ross Foster
Jimenez Powell Jenkins Perry Russell Sullivan Bell Coleman Butler Henderson Barnes Gonzales Fisher
Vasquez Simmons Romero Jordan Patterson Alexander Hamilton Graham Reynolds Griffin Wallace Moreno
West Cole Hayes Bryant Herrera Gibson Ellis Tran Medina Aguilar Stevens Murray Ford Castro
Marshall Owens Harrison Fernandez McDonald Woods Washington Kennedy Wells Vargas Henry Chen
Freeman Webb Tucker Guzman Burns Crawford Olson Simpson Porter Hunter Gordon Mendez Silva Shaw
Snyder Mason Dixon Munoz Hunt Hicks Holmes Palmer Wagner Black Robertson Boyd Rose Stone Salazar
Fox Warren Mills Meyer Rice Schmidt Garza Daniels Ferguson Nichols Stephens Soto Weaver Ryan
Gardner Payne Grant Dunn Kelley Spencer Hawkins Arnold Pierce Hansen Peters Santos Hart Bradley
Knight Elliott Cunningham Duncan Armstrong Hudson Carroll Lane Riley Andrews Alvarado Ray Delgado
Berry Perkins Hoffman Johnston Matthews Pena Richards Contreras Willis Carpenter Lawrence Sandoval
O'Brien O'Connor O'Neill McCarthy MacLeod Fitzgerald Okafor Adeyemi Mensah Osei Abubakar Hussain
Khan Ahmed Sharma Singh Gupta Iyer Reddy Kapoor Banerjee Chowdhury Wong Zhang Liu Huang Tanaka
Suzuki Yamamoto Park Choi Kowalski Nowak Ivanov Petrova Novak Horvat Rossi Ricci Moretti Dubois
Lefevre Schneider Fischer Bauer Vogel Larsen Nielsen Lindqvist Haddad Nasser Farouk Rahimi Karimi
Demir Yilmaz Papadopoulos Blackwood Whitfield Hargreaves Pemberton Ashworth Thistlewood Llewellyn
Griffiths Sinclair Buchanan Farquhar Gallagher Doyle Byrne Quinn Finch Wren Marsh Field Love Best
Day Winter Sharp Small Little Strong Good Hope Church Bishop Abbott Cross Rivers Lake Brook Forest
Noble
""".split()
_TOWN: Final = """
Springfield| Riverside| Franklin| Clinton| Greenville| Bristol| Fairview| Salem| Madison|
Georgetown| Arlington| Ashland| Burlington| Manchester| Oxford| Cleveland| Milton| Auburn| Dayton|
Lexington| Milford| Winchester| Hudson| Kingston| Dover| Newport| Oakland| Centerville| Cedar
Falls| Maple Grove| Lakewood| Brookfield| Portland| Denver| Houston| Phoenix| Boston| Chicago|
Austin| Seattle| Atlanta| Memphis| Baltimore| Tucson| Fresno| Omaha| Raleigh| Tulsa| Tampa| Leeds|
Sheffield| Liverpool| Cardiff| Swansea| Glasgow| Dundee| Belfast| Norwich| Plymouth| Reading|
Derby| Stockport| Harrogate| Wrexham| Truro| Exeter| Durham| Carlisle| Mill Valley| Rock Hill|
Pine Bluff| Eau Claire| Santa Rosa| San Mateo| El Paso| Baton Rouge| Saint Paul| Fort Wayne| Grand
Rapids| Little Rock| Green Bay| Cedar Rapids| Sioux City| Bowling Green| Walnut Creek
"""
_STREET: Final = """
Main| Oak| Pine| Maple| Cedar| Elm| Washington| Lake| Hill| Walnut| Spring| North| Ridge| Church|
Willow| Mill| Sunset| Railroad| Jackson| River| Highland| Forest| Jefferson| Meadow| Chestnut|
Park| Lincoln| Birch| Victoria| Station| Kings| Queens| Albert| Grove| Orchard| Sycamore|
Magnolia| Cherry| Dogwood| Hickory| Juniper| Laurel| Prospect| Franklin| Center| Union| Bridge|
Academy| College| Fairway| Harbor| Ocean| Valley View| Stonegate| Fox Hollow| Deer Run| Quail|
Eagle| Falcon| Heron| Peachtree| Mulberry| Locust| Poplar| Cypress| Canal| Market
"""
_ORGANISATION: Final = """
Fairlawn Family Medicine| Riverside Health| Lakeside Clinic| Northgate Medical Centre| Maple
Street Surgery| Oakwood Pediatrics| Summit Orthopedics| Valley Heart Center| Cedar Dental|
Harborview Women's Health| Willow Creek Dermatology| Pinecrest Urgent Care| Bayside Physical
Therapy| Greenfield Eye Associates| Stonebridge Internal Medicine| Elm Park Practice| Saint Mary's
Hospital| Mercy General| County Memorial Hospital| Westbrook Imaging| Prairie Family Practice|
Hillcrest Cardiology| Bluebell Health Centre| Silver Lake Oncology| Evergreen Behavioral Health|
Highland Home Care| Beacon Hospice| Sunrise Senior Care| Metro Allergy and Asthma| Golden Gate
Nephrology| Juniper Community Clinic| Meadowbrook Surgery| Kingsway Medical Practice| Castle
Street Dental| Parkview Nurse Line| Union Square Pharmacy| Corner Drug| Hartwell Pharmacy| Main
Street Chemist| Bright Smiles Dentistry| Cascade Neurology
"""
_INSURER: Final = """
Blue Shield| Aetna| Cigna| Humana| Medicare| Medicaid| Kaiser| United Healthcare| Anthem| Blue
Cross| Molina| Centene| Oscar Health| Tricare| Bupa| Northstar Health Plan| Keystone Mutual|
Pacific Benefit| Heritage Health| Liberty Care
"""
_DRUG: Final = """
metformin| lisinopril| atorvastatin| amlodipine| omeprazole| levothyroxine| gabapentin| losartan|
albuterol| sertraline| ibuprofen| acetaminophen| amoxicillin| azithromycin| prednisone| warfarin|
insulin| simvastatin| hydrochlorothiazide| metoprolol| furosemide| tramadol| citalopram|
fluoxetine| trazodone| pantoprazole| montelukast| rosuvastatin| escitalopram| clopidogrel|
duloxetine| venlafaxine| bupropion| lorazepam| alprazolam| cephalexin| doxycycline| ciprofloxacin|
naproxen| meloxicam| cyclobenzaprine| oxycodone| hydrocodone| apixaban| carvedilol|
spironolactone| tamsulosin| paracetamol| salbutamol| ramipril| codeine| lansoprazole|
methotrexate| lamotrigine| levetiracetam| quetiapine| aripiprazole| glipizide| Ozempic| Eliquis|
Lantus| Humalog| Tylenol| Advil| Zofran| Benadryl| aspirin| nitroglycerin| an epipen| the blood
thinner| the water pill| the antibiotic| the inhaler| my birth control
"""
_SYMPTOM: Final = """
chest pain| a tight chest| shortness of breath| a fever| a rash| a bad cough| dizziness| a
headache| stomach pain| back pain| nausea| vomiting| diarrhea| constipation| a sore throat|
blurred vision| numbness in my hand| swelling in my leg| a racing heart| trouble sleeping|
bleeding that won't stop| blood in my urine| pain when I pee| a stiff neck| ringing in my ears|
heartburn| weakness on one side| slurred speech| tingling in my fingers| a migraine| joint pain|
swollen ankles| a lump in my breast| an earache| hives| a runny nose| chills| night sweats| hot
flashes| cramps| a high temperature| trouble breathing| wheezing| an infected cut| a burning
feeling| a seizure| fainting spells| confusion| palpitations| anxiety| a panic attack| low blood
sugar| high blood pressure| a toothache| a twisted ankle| a sore knee| contractions| spotting
"""
_SERVICE: Final = """
blood test| X ray| MRI| CT scan| ultrasound| mammogram| colonoscopy| physical| check up| flu shot|
follow up| consultation| refill| referral| prior authorization| cleaning| eye exam| stress test|
biopsy| physical therapy session| vaccination| telehealth visit| new patient appointment| pre op
visit| smear test| echocardiogram| hearing test| allergy test| sleep study| medication review|
blood pressure check| lab work
"""
_DEPARTMENT: Final = """
billing| scheduling| the nurse line| the front desk| radiology| the lab| pharmacy| medical
records| cardiology| pediatrics| the referral desk| the triage nurse| patient services| the
insurance team| surgery| oncology| the on call doctor| the practice manager| dermatology| urology|
maternity| the emergency department
"""
_RELATION: Final = """
mother| father| son| daughter| husband| wife| mum| mom| dad| brother| sister| grandmother|
grandfather| baby| partner| neighbor| aunt| uncle| grandson| niece| toddler| mother in law| little
boy| little girl
"""
_BODY: Final = """
chest| back| left arm| right arm| head| stomach| left leg| right leg| neck| knee| shoulder| hip|
foot| hand| throat| ear| eye| jaw| ankle| wrist| side| lower back| belly| calf
"""
_OFTEN: Final = """
twice a day|once a day|every morning|at night|three times a day|every six hours|with food
"""
_EMAIL_HOST: Final = "gmail yahoo outlook hotmail icloud aol btinternet proton fastmail".split()
_AGO: Final = "|".join(
    """yesterday;last night;this morning;two days ago;about an hour ago;since Monday;for a week;
    for about three weeks;since last Tuesday;for a couple of days;on and off for months;
    ten minutes ago;all day;since the weekend;for two or three hours;just now;since Christmas
    """.split(";")
)

_TEMPLATES: Final = """
Thank you for calling {org}, this is {first}, how can I help you?
Good morning, {org}, {first} speaking.
Good afternoon, thanks for calling {org}. My name is {first}. How may I help you today?
Hello, you're through to {org}, you're speaking with {first}.
{org}, please hold.
Thank you for holding, this is {first} in {department}.
Hi, this is {first} from {org}. Am I speaking with {full}?
Hello, may I speak to {full}, please?
Hi, it's {first} {last}.
Hi, um, my name is {full} and I'm calling about my {service}.
Yes, hello, this is {full}, I'm calling for my {relation}.
I'm calling on behalf of my {relation}, {full}.
Can I have your full name and date of birth, please?
Can I start with your name?
And your last name?
Could you spell that for me?
Could you spell your last name, please?
Can you confirm your date of birth?
What's your date of birth?
And the date of birth for {first}?
What is the best number to reach you?
Can I get a good call back number in case we get cut off?
What is your address?
And the zip code?
And your postcode?
Do you have your member ID there?
What's the name on the account?
Can I take your email address?
It's {full}.
My name is {full}.
{full}.
{full}, date of birth {date}.
That's {spelled}.
It's {first}, {spelled}.
My last name is {spelledlast}.
{spelledlast}.
Last name {spelledlast}, first name {first}.
{letters}.
{natoletters}.
No, it's {natoletters}.
So that's {spelledlast}, is that right?
Let me read that back. {spelledlast}.
My date of birth is {date}.
{date}.
It's {date}.
I was born on {date}.
{slashdate}.
Date of birth is {slashdate}.
The baby was born {date}.
So that's {date}, correct?
No, sorry, {date}.
My number is {phone}.
It's {phone}.
{phone}.
You can reach me at {phone}.
Call me back on {phone}, please.
The best number is {phone}, that's my cell.
My work number is {phone} extension {small}.
Our fax number is {phone}.
So I have {phone}. Is that still right?
Let me read it back. {phone}.
Sorry, was that {digitpair} or {digitpair}?
No, no, {digitpair} at the end.
The area code is {three}.
I live at {address}.
My address is {address}.
It's {address}, {town}.
{address}, {town}, {state}, {zip}.
We moved, it's now {address} in {town}.
The zip code is {zip}.
{zip}.
My postcode is {postcode}.
{postcode}.
Apartment {small}, {address}.
Flat {small}, {address}, {postcode}.
I'm in {town}.
Are you still at {address}?
I have you at {address}, is that current?
My member ID is {member}.
The member number is {member}.
{member}.
It says ID {member}, group {four}.
The group number is {four}{four}.
My policy number is {member}.
The account number is {eight}.
My medical record number is {eight}.
Record number {eight}.
The reference number is {member}.
Your confirmation number is {member}.
Your claim number is {member}.
The last four of my social are {four}.
My social is {ssn}.
My NHS number is {nhs}.
The prescription number is {seven}.
Can you give me the last four digits of your social?
Read me the number on the front of the card.
My email is {email}.
It's {email}.
You can send it to {email}.
So that's {email}?
I have {insurer}.
My insurance is {insurer} and the ID is {member}.
I changed to {insurer} in {month}.
Is {org} in network with {insurer}?
Does {insurer} cover the {service}?
{insurer} denied my claim for the {service}.
I'd like to make an appointment with Doctor {last}.
I need to see Doctor {last} about {symptom}.
Can I book a {service} for my {relation}?
I need to cancel my appointment on {daydate}.
I need to move my {service} from {day} to {day}.
I have an appointment on {daydate} at {time}.
You're booked for {daydate} at {time} with Doctor {last}.
The first opening I have is {daydate} at {time}.
I have {time} or {time}, which is better for you?
Would {day} at {time} work for you?
Doctor {last} is out until {day}.
Can you come in today at {time}?
Do you have anything earlier than {time}?
Anything on {day} or {day}?
{day} at {time} is fine.
See you on {daydate}.
Please arrive fifteen minutes early and bring your insurance card.
I missed my {service} {ago} and I want to rebook.
I need a refill of {drug}.
I'm out of {drug} and I need it today.
I take {drug}, {dose}, {often}.
Can you refill {drug} at {pharmacy}?
They gave me {drug} and now I have {symptom}.
Is it safe to take {drug} with {drug}?
I'm allergic to {drug}.
The doctor put me on {drug} {dose}.
Are you taking {drug} or {drug}?
How many milligrams of {drug} do you take?
The pharmacy is {pharmacy} on {street}.
We sent {drug} to {pharmacy} {ago}.
He took {number} {drug} tablets.
She swallowed some of my {drug}.
I've had {symptom} {ago}.
I've got {symptom} and {symptom}.
My {relation} has {symptom} and I don't know what to do.
My {relation} has had {symptom} {ago}.
There's a pain in my {body}.
The pain is in my {body} and it goes down to my {body}.
It started {ago} and it's getting worse.
It hurts when I breathe.
He can't breathe, please hurry.
She's not waking up.
My {relation} fell and hit the {body}.
On a scale of one to ten, how bad is the pain?
It's about {small2} out of ten.
Do you have {symptom} or {symptom}?
Any {symptom} right now?
No {symptom}, no {symptom}, nothing like that.
No, nothing like that.
When did the {symptom} start?
His temperature is {temp}.
My blood pressure was {bp} this morning.
My sugar was {number} {ago}.
Are you having any chest pain or trouble breathing?
Is he breathing normally right now?
Where are you right now?
Are you alone?
Hang up and call nine one one right now.
If it gets worse, call nine one one or go to the emergency room.
I'm going to transfer you to {department} now, please stay on the line.
Let me connect you with {department}.
I'm getting a nurse on the line right now.
A nurse will call you back within {small} minutes.
I'm calling an ambulance for you, stay with me.
I'm so sorry to hear that, that must be frightening.
I understand how frustrating that is.
I'm sorry about the wait.
I can hear that you're worried, and I'm glad you called.
That sounds really hard.
Take your time, I'm listening.
I'm really worried about my {relation}.
I'm scared it's something serious.
I've been on hold for {small} minutes.
This is the {ordinal} time I've called about this.
Nobody ever calls me back.
I'm very upset about this bill.
I got a bill for {amount} and I don't understand it.
I was charged {amount} for a {service}.
My copay is {amount}.
Your balance is {amount}.
I can pay {amount} today and the rest in {month}.
The card number is {card}.
It expires {month} {year}.
Can I set up a payment plan?
That was supposed to be covered by {insurer}.
I need my records sent to {org}.
I'm calling to get the results of my {service}.
Your results came back normal.
The results are not in yet.
Doctor {last} would like to see you about the results.
I need a referral to {department}.
The referral was sent to {org} on {date}.
I want to talk to {department}.
Can I speak to a supervisor?
Let me pull up your chart.
Let me check that for you, one moment.
Can I put you on a brief hold?
Thanks for your patience.
Is there anything else I can help you with?
Is there anything else?
No, that's everything, thank you.
Okay, thank you so much, {first}.
You're welcome, have a good day.
Thank you, bye bye.
Take care, goodbye.
Okay.
Yes.
No.
Yeah, that's right.
That's correct.
Uh huh.
Mm hm.
Sorry, can you say that again?
I didn't catch that.
Hello, are you there?
Yes, I'm still here.
Hold on, let me get a pen.
So just to recap, {first}, you have a {service} on {daydate} at {time}.
So what I'm hearing is that the {symptom} started {ago}, is that right?
Let me make sure I have this right. {full}, {date}, {phone}.
For {full}, {date}, phone number {phone}.
{first} {last}, {spelledlast}, and the number is {phone}.
Leave a message for Doctor {last}, please.
I'm a nurse at {org} calling about a patient, {full}.
This is {first} from {pharmacy}, calling about {drug} for {full}.
He's {age} years old.
She's {age}, she'll be {age} in {month}.
I'm {age} and I live alone on {street}.
My {relation} {first} was in {org} until {day}.
We're open {day} to {day} from {time} to {time}.
Our office is at {address}, next to {org}.
Turn left on {street}, we're on the {ordinal} floor.
Directions to the clinic in {town}, please.
Your case number is {member}, and my extension is {four}.
If I may have the {ordinal} and {ordinal} letters again?
It's double {double}, {three}.
{nato} as in {natoword}.
{double} {double}, no, {three}.
""".strip().splitlines()

_LETTER_WORDS: Final = {
    "A": "apple alpha Adam",
    "B": "boy bravo Bob",
    "C": "Charlie cat Carol",
    "D": "dog delta David",
    "E": "echo Edward easy",
    "F": "Frank foxtrot Freddie",
    "G": "George golf good",
    "H": "Harry hotel Henry",
    "I": "India ink igloo",
    "J": "John Juliet Jack",
    "K": "kilo king Karen",
    "L": "Larry Lima Lucy",
    "M": "Mary Mike mother",
    "N": "Nancy November nurse",
    "O": "Oscar ocean orange",
    "P": "Peter papa Paul",
    "Q": "queen Quebec",
    "R": "Robert Romeo rabbit",
    "S": "Sam sugar Sierra",
    "T": "Tom tango table",
    "U": "uniform uncle umbrella",
    "V": "Victor Victoria van",
    "W": "whiskey William water",
    "X": "X ray",
    "Y": "yellow Yankee yes",
    "Z": "zebra Zulu",
}
_MONTHS: Final = (
    "January February March April May June July August September October November December"
).split()
_DAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_STATES: Final = (
    "Ohio Texas Florida Virginia Oregon Kansas Iowa Maine Georgia Michigan Arizona Nevada "
    "Colorado Utah Indiana Illinois Wisconsin California"
).split()
_FILLERS: Final = ("Um,", "Uh,", "So,", "Okay,", "Yeah,", "Well,", "Oh,", "Hi,", "Alright,", "Er,")


def _listed(text: str) -> list[str]:
    return [" ".join(item.split()) for item in text.split("|") if item.strip()]


def _is_held(item: str) -> bool:
    """Whether a filling or template is kept for testing (about one in eight)."""
    return zlib.crc32(item.encode()) % 8 == 0


@functools.cache
def _parted(kind: str, part: Split) -> tuple[str, ...]:
    items = {
        "first": _FIRST,
        "last": _LAST,
        "town": _listed(_TOWN),
        "streetname": _listed(_STREET),
        "org": _listed(_ORGANISATION),
        "insurer": _listed(_INSURER),
        "drug": _listed(_DRUG),
        "symptom": _listed(_SYMPTOM),
        "service": _listed(_SERVICE),
        "template": [template for template in _TEMPLATES if "{" in template],
    }[kind]
    return tuple(item for item in items if _is_held(item) == (part == "test"))


# --- fillings --------------------------------------------------------------------------


class _Filler:
    """Draws fillings for one line."""

    def __init__(self, rng: Rng, part: Split) -> None:
        self.rng = rng
        self.part = part

    def pick(self, items: tuple[str, ...] | list[str]) -> str:
        return items[int(self.rng.integers(len(items)))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high))

    def fill(self, slot: str) -> str:
        """Return a filling for the slot's name."""
        method: Callable[[], str] | None = getattr(self, f"_{slot}", None)
        if method is not None:
            return method()
        if slot in ("first", "last", "town", "org", "insurer", "drug", "symptom", "service"):
            return self.pick(_parted(slot, self.part))
        plain = {
            "department": _DEPARTMENT,
            "relation": _RELATION,
            "body": _BODY,
            "ago": _AGO,
        }
        return self.pick(_listed(plain[slot]))

    # names and letters

    def _full(self) -> str:
        middle = f" {self.pick(_parted('first', self.part))}" if self.chance(0.08) else ""
        return f"{self.fill('first')}{middle} {self.fill('last')}"

    def _spell(self, name: str) -> str:
        letters = [c for c in name.upper() if c.isalpha()]
        if self.chance(0.2):
            joined: list[str] = []
            for letter in letters:
                if joined and joined[-1] == letter:
                    joined[-1] = f"double {letter}"
                else:
                    joined.append(letter)
            letters = joined
        out = []
        for letter in letters:
            if self.chance(0.06):
                link = self.pick(["as in", "for", "like"])
                letter = f"{letter} {link} {self.pick(_LETTER_WORDS[letter[-1]].split())}"
            out.append(letter)
        return (", " if self.chance(0.35) else " ").join(out)

    def _spelled(self) -> str:
        return self._spell(self.fill(self.pick(["first", "last"])))

    def _spelledlast(self) -> str:
        name = self.fill("last")
        return f"{name}, {self._spell(name)}" if self.chance(0.6) else self._spell(name)

    def _letters(self) -> str:
        alphabet = list(_LETTER_WORDS)
        return " ".join(self.pick(alphabet) for _ in range(self.number(3, 9)))

    def _natoletters(self) -> str:
        alphabet = list(_LETTER_WORDS)
        link = self.pick(["as in", "for", "like"])
        chosen = [self.pick(alphabet) for _ in range(self.number(2, 5))]
        return ", ".join(
            f"{letter} {link} {self.pick(_LETTER_WORDS[letter].split())}" for letter in chosen
        )

    def _nato(self) -> str:
        return self.pick(list(_LETTER_WORDS))

    def _natoword(self) -> str:
        return self.pick(self.pick(list(_LETTER_WORDS.values())).split())

    # digits

    def _run(self, count: int, group: int | None = None) -> str:
        """Return `count` random digits as people read them out, in groups with pauses."""
        zero = self.pick(["zero", "oh", "oh"])
        string = "".join(str(self.number(0, 10)) for _ in range(count))
        group = group or self.pick_group(count)
        chunks = [string[i : i + group] for i in range(0, count, group)]
        return self.pick([", ", ", ", " "]).join(self._chunk(chunk, zero) for chunk in chunks)

    def pick_group(self, count: int) -> int:
        return int(self.rng.choice([2, 3, 4, count]))

    def _chunk(self, chunk: str, zero: str) -> str:
        value = int(chunk)
        if len(chunk) == 2 and value >= 10 and self.chance(0.3):
            return cardinal(value)
        if len(chunk) == 3 and value % 100 == 0 and value and self.chance(0.6):
            return cardinal(value)
        if len(chunk) == 4 and value >= 1000 and self.chance(0.25):
            head, tail = divmod(value, 100)
            if tail == 0:
                return f"{cardinal(head)} hundred"
            return f"{cardinal(head)} " + (
                f"{zero} {cardinal(tail)}" if tail < 10 else cardinal(tail)
            )
        if self.chance(0.15):
            paired = re.sub(r"(\d)\1", lambda m: f"d{m[1]}", chunk)
            return " ".join(
                f"double {digits(p[1], zero)}" if p[0] == "d" else digits(p, zero)
                for p in re.findall(r"d\d|\d", paired)
            )
        return digits(chunk, zero)

    def _phone(self) -> str:
        zero = self.pick(["zero", "oh", "oh"])
        kind = self.rng.random()
        line = self._chunk(f"{self.number(0, 10000):04d}", zero)
        exchange = (
            "five five five" if self.chance(0.5) else digits(f"{self.number(200, 999)}", zero)
        )
        if kind < 0.6:
            area = self._chunk(f"{self.number(201, 990)}", zero)
            return self.pick([", ", " "]).join([area, exchange, line])
        if kind < 0.75:
            return self.pick([", ", " "]).join([exchange, line])
        prefix = self.pick(["oh seven", "zero seven", "oh one", "oh two"])
        middle = digits(f"{self.number(0, 1000):03d}", zero)
        return ", ".join([f"{prefix} {middle}", self._run(3, 3), self._run(3, 3)])

    def _digitpair(self) -> str:
        return digits(f"{self.number(0, 100):02d}", self.pick(["zero", "oh"]))

    def _double(self) -> str:
        return digits(str(self.number(0, 10)))

    def _three(self) -> str:
        return self._run(3, 3)

    def _four(self) -> str:
        return self._run(4, 4)

    def _seven(self) -> str:
        return self._run(7)

    def _eight(self) -> str:
        return self._run(self.number(6, 10))

    def _zip(self) -> str:
        return self._run(5, 5)

    def _ssn(self) -> str:
        return ", ".join([self._run(3, 3), self._run(2, 2), self._run(4, 4)])

    def _nhs(self) -> str:
        return ", ".join([self._run(3, 3), self._run(3, 3), self._run(4, 4)])

    def _card(self) -> str:
        return ", ".join(self._run(4, 4) for _ in range(4))

    def _member(self) -> str:
        letters = " ".join(self.pick(list(_LETTER_WORDS)) for _ in range(self.number(1, 4)))
        number = self._run(self.number(4, 9))
        tail = f", {self.pick(list(_LETTER_WORDS))}" if self.chance(0.15) else ""
        return f"{letters}{self.pick([' ', ', '])}{number}{tail}"

    def _postcode(self) -> str:
        area = " ".join(self.pick(list(_LETTER_WORDS)) for _ in range(self.number(1, 3)))
        inner = " ".join(self.pick(list(_LETTER_WORDS)) for _ in range(2))
        return f"{area} {cardinal(self.number(1, 30))}, {digits(str(self.number(0, 10)))} {inner}"

    def _small(self) -> str:
        return cardinal(self.number(1, 60))

    def _small2(self) -> str:
        return cardinal(self.number(1, 11))

    def _number(self) -> str:
        return cardinal(self.number(2, 400))

    def _ordinal(self) -> str:
        return ordinal(self.number(1, 12))

    def _age(self) -> str:
        return cardinal(self.number(1, 97))

    def _temp(self) -> str:
        whole = self.number(36, 41) if self.chance(0.3) else self.number(97, 106)
        return self.pick(
            [f"{cardinal(whole)} point {digits(str(self.number(1, 10)))}", cardinal(whole)]
        )

    def _bp(self) -> str:
        high = self.number(100, 215)
        said = self.pick(
            [cardinal(high), f"one {cardinal(high % 100)}" if high < 200 else "two oh five"]
        )
        return f"{said} over {cardinal(self.number(55, 120))}"

    def _amount(self) -> str:
        dollars, cents = self.number(5, 2400), self.number(1, 100)
        unit = self.pick(["dollars", "dollars", "pounds"])
        if self.chance(0.4):
            small = "cents" if unit == "dollars" else "pence"
            return f"{cardinal(dollars)} {unit} and {cardinal(cents)} {small}"
        return f"{cardinal(dollars)} {unit}"

    def _dose(self) -> str:
        size = cardinal(
            int(self.rng.choice([5, 10, 20, 25, 40, 50, 75, 81, 100, 250, 500, 850, 1000]))
        )
        return self.pick(
            [f"{size} milligrams", f"{size} milligram", f"{size} units", "one tablet", "two puffs"]
        )

    def _often(self) -> str:
        return self.pick(_listed(_OFTEN))

    # dates and times

    def _month(self) -> str:
        return self.pick(_MONTHS)

    def _day(self) -> str:
        return self.pick(_DAYS)

    def _year(self) -> str:
        return year(self.number(1926, 2027))

    def _monthday(self) -> str:
        month, number = self._month(), self.number(1, 32)
        return self.pick(
            [
                f"{month} {ordinal(number)}",
                f"{month} the {ordinal(number)}",
                f"the {ordinal(number)} of {month}",
                f"{month} {cardinal(number)}",
            ]
        )

    def _date(self) -> str:
        return f"{self._monthday()}{self.pick([', ', ' '])}{self._year()}"

    def _slashdate(self) -> str:
        month, day = self.number(1, 13), self.number(1, 32)

        def said(number: int) -> str:
            return (
                f"oh {cardinal(number)}" if number < 10 and self.chance(0.6) else cardinal(number)
            )

        last = self.number(26, 100)
        short = cardinal(last)
        return (
            f"{said(month)}{self.pick([', ', ' '])}{said(day)}{self.pick([', ', ' '])}"
            + self.pick([short, f"nineteen {short}", self._year()])
        )

    def _daydate(self) -> str:
        return self.pick(
            [
                f"{self._day()} {self._monthday()}",
                self._monthday(),
                f"{self._day()} the {ordinal(self.number(1, 32))}",
            ]
        )

    def _time(self) -> str:
        hour = cardinal(self.number(1, 13))
        minutes = self.pick(
            ["", "", " fifteen", " thirty", " forty five", " oh five", " twenty", " ten"]
        )
        half = self.pick(
            ["", "", " a m", " p m", " in the morning", " o'clock" if not minutes else ""]
        )
        return self.pick(
            [
                f"{hour}{minutes}{half}",
                f"{hour}{minutes}{half}",
                f"half past {hour}",
                f"quarter to {hour}",
            ]
        )

    # places and addresses

    def _streetname(self) -> str:
        return self.pick(_parted("streetname", self.part))

    def _street(self) -> str:
        kind = self.pick("Street Avenue Road Lane Drive Court Way Boulevard Place Close".split())
        return f"{self._streetname()} {kind}"

    def _address(self) -> str:
        house = self.number(1, 9999) if self.chance(0.6) else self.number(1, 200)
        said = self._chunk(str(house), "oh") if self.chance(0.7) else cardinal(house)
        return f"{said} {self._street()}"

    def _state(self) -> str:
        return self.pick(_STATES)

    def _pharmacy(self) -> str:
        chain = self.pick(["Walgreens", "Boots", "the pharmacy", "Rite Aid", "the chemist"])
        return self.pick(
            [chain, f"the pharmacy on {self._streetname()}", f"{self.fill('last')} Pharmacy"]
        )

    def _email(self) -> str:
        first, last = self.fill("first").lower(), self.fill("last").lower().replace("'", "")
        local = self.pick(
            [
                f"{first} dot {last}",
                f"{first} {last}",
                f"{first[0].upper()} {last}",
                f"{first} underscore {last}",
                f"{first} {digits(str(self.number(10, 1000)))}",
                f"{first} {cardinal(self.number(10, 100))}",
                self._spell(last),
            ]
        )
        ending = self.pick(["com", "com", "com", "net", "org", "co dot U K"])
        return f"{local} at {self.pick(_EMAIL_HOST)} dot {ending}"


def draw_line(rng: Rng, part: Split = "train") -> str:
    """Return one invented line in ordinary spelling; numbers are already words.

    For "test", fillings are unseen in training, and so is the template of every second
    line.
    """
    filler = _Filler(rng, part)
    if part == "test":
        template = filler.pick(_parted("template", "test" if filler.chance(0.5) else "train"))
    else:
        template = filler.pick(_parted("template", "train"))
        if filler.chance(0.05):
            template = filler.pick([t for t in _TEMPLATES if "{" not in t])
    line = re.sub(r"\{(\w+)\}", lambda match: " " + filler.fill(match[1]), template).strip()
    line = re.sub(r" +", " ", line)
    if filler.chance(0.15):
        line = f"{filler.pick(_FILLERS)} {line}"
    return line
