"""Which words are ordinary English, so that a name is not looked for in them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["NAME_WORDS", "TALK", "is_common"]

_FILE = Path(__file__).with_name("common_words.txt")

TALK = frozenset(
    "a about actually after again ah all alright also am an and any anything are as at back bad "
    "be because been "
    "before being bye call calling called can can't cause check could couldn't day dear did "
    "didn't do does "
    "doesn't doing don't done down each er erm even ever everything fine first for from full get "
    "give go going gonna good got "
    "great had has hasn't have haven't having he he'd he'll he's hello help her here here's hers "
    "hey hi him his hiya hold how "
    "how's i i'd i'll i'm i've if in is isn't it it's its just know last let let's like line "
    "listen little look looking ma'am madam "
    "make many may maybe me mean middle might mind mine minute moment more most much must my "
    "name name's named names need no nope "
    "nor not nothing now of off oh ok okay on once one only or other our out over own perfect "
    "person phone please "
    "probably put question quick quite really right said same say saying says see seen shall she "
    "she'd she'll she's should "
    "sir so some somebody someone something sorry speak speaking spell spelled spelling still "
    "sure take talk talking tell thank thanks that that's the "
    "their them then there there's these they they'd they'll they're they've thing things think "
    "this those through time to "
    "today together tomorrow too try two uh uhm um under up us very wait want wanted was wasn't "
    "way we we'd we'll we're we've "
    "well were what what's when where where's which while who who's whose why will with won't "
    "would wouldn't yeah yep yes yesterday "
    "awesome wonderful lovely excellent absolutely certainly fantastic terrific brilliant super "
    "whatever whoever wherever anyways ain't y'all dunno gotta yup ya "
    "yet you you'd you'll you're you've your yours birthday birth date number address email old "
    "new both again already almost correct "
    "course ready wrong patient patient's appointment doctor nurse office clinic hospital "
    "surname forename lastname firstname "
    "initial letter letters double capital dash hyphen dot apostrophe space underscore mr mrs ms "
    "miss dr man woman lady gentleman boy girl "
    "son daughter mother father mom mum dad husband wife sister brother friend baby honey "
    "sweetheart hun love cheers ta alrighty gotcha "
    "mm hmm mhm uh-huh huh wow god goodness afternoon morning evening night none nobody anybody "
    "everybody everyone anyone people".split()
)
"""Words of talk that are never taken for a name in an answer."""


NAME_WORDS = frozenset(
    "angel april art august autumn ball banks barber bass bath bean beard bell berry bill bird "
    "bishop black blue bond bone "
    "booth bright brook brooks brown bull bush butler candy carol case cash chance charity chase "
    "chip christian church clay cliff "
    "cole cook cotton crystal daisy dawn day dean dolly drew duke early earl east eve fair faith "
    "farmer fern field fields "
    "finch fisher flint flowers ford forest fox frank frost gay gene ginger glass gold golden "
    "good grace grant graves gray green grey "
    "gross hail hand hardy harmony hart haven hazel head heath heather hill hills hogg holly "
    "holiday honey honor hood hope "
    "hunter iris ivy jack jade jasmine jay jean jewel jordan joy judge june justice kay king "
    "kirk knight lake lamb lance lane lark laurel "
    "law leaf light lilly lily little london long lord love low luck major mark marks may melody "
    "mercy miles mill mills misty monday moon "
    "moss nail noble norm north oak olive opal page paris park parks patience pat patty payne "
    "peace pearl penn penny pepper pike "
    "piper pole pond poppy porter posy powers precious price prince quick rain ray read reed "
    "rice rich ridge river rivers rob robin rock rocky root "
    "rose rosemary rowe royal ruby rush rusty sage sandy savage savannah self serenity shade "
    "sharp short singer sky small smart snow sparks spring "
    "star stark stone storm strong sue summer summers sunday sunny swan sweet swift sky temple "
    "terry tiffany trinity tucker ty van vance violet wade walker wall "
    "ward waters weaver webb weeks wells west wheeler white will willow winter wise wolf wood "
    "woods worth wren wright young".split()
)
"""Ordinary words that are also people's names."""


@cache
def _common() -> frozenset[str]:
    return frozenset(_FILE.read_text(encoding="utf-8").split()) | TALK


def is_common(word: str) -> bool:
    """Whether lower-case ``word`` is ordinary English."""
    common = _common()
    if word in common:
        return True
    if word.endswith("'s") and word[:-2] in common:
        return True
    return word.endswith("s") and word[:-1] in common
