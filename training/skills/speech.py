"""Free speech: what users tell, mention, count and say to others. Nobody is asked anything by it.

Stories are for listening to (a sign of listening is welcome after a sentence), carriers hold the words that cues are
about, asides are meant for somebody else, hesitations and exclamations for nobody. All are drawn from small grammars, seeded, and split in halves that share no
sentence.
"""

from __future__ import annotations

import random
import re

from services.interaction.nano.config import COLOURS, NUMBERS
from training.skills.leads import leads
from training.skills.overlap import signs
from training.skills.words import CATEGORIES

STORIES, CARRIERS, COUNTINGS, ASIDES, MORE_ASIDES = 3000, 1400, 150, 700, 1600
HELD_OUT_EVERY = 8

_WHO = (
    "i; we; my sister; my brother; my uncle; the neighbours; a friend of mine; my boss; the old man; her daughter; "
    "the two of us; somebody; my wife; my husband; my father; my grandmother; our teacher; the nurse; "
    "the children; my son; my daughter; my cousin; the postman; a colleague; the farmer; the whole family; "
    "my flatmate; the team; everybody; the twins; a stranger; our guide; the driver; my aunt"
)
_WHEN = (
    "yesterday; last week; on sunday; in the evening; after lunch; this morning; two years ago; at first; later; "
    "then; once; in spring; during the holidays; the next day; before that; on friday; last summer; a while ago; "
    "last night; in january; when i was young; years ago; one morning; at night; at the weekend; around noon; "
    "on my birthday; the other day; in the end; after work; before breakfast; during the storm; on the second day; "
    "last winter"
)
_DID = (
    "found a letter; lost the keys; missed the last bus; cooked soup for everyone; painted the kitchen; "
    "met an old friend; climbed up the hill; broke a window; fixed the roof; planted some trees; drove to the sea; "
    "slept all day; bought a second hand piano; took the wrong road; forgot the tickets; waited for an hour; "
    "talked about the weather; opened the wrong door; walked along the river; heard a strange noise; "
    "called the police; had to laugh; saw a huge dog; carried everything upstairs; left the house early; "
    "made a long list; lit a big fire; got completely wet; learned how to swim; sang until midnight; "
    "ran back home; sold the old car; washed the dishes; wrote a long letter; could not find the way; "
    "tried it again; sat on the balcony; played cards; fell asleep; built a shed; repaired the fence; "
    "picked some apples; baked three cakes; moved to the city; changed jobs; started a garden; joined a choir; "
    "ran a marathon; learned to sail; lost a bet; won a prize; broke an arm; caught a cold; found a kitten; "
    "adopted a dog; rented a boat; cleaned the attic; sorted old photos; spilled the coffee; burned the toast; "
    "forgot the umbrella; lent me a bicycle; read the whole book; watched the stars; danced all evening; "
    "swam across the lake; slept in a tent; hiked through the forest; got stuck in traffic; missed the flight; "
    "quit smoking; sold the boat; sewed a dress; knitted a scarf; wrote a poem; planted roses; dug a hole; "
    "fed the ducks; chased a rabbit; locked the gate; packed the bags; borrowed a ladder; hung up the curtains; "
    "told an old joke; made tea for everyone; ordered too much food; paid the bill; opened a shop; "
    "bought fresh bread; raced down the hill; stood in the rain; waited for the doctor; stayed in bed; "
    "turned back; worked all night; finished the report; lost the contract; got a promotion; argued about money; "
    "told nobody; said nothing; went for a walk; went fishing; came home late; took some pictures; "
    "took the stairs; gave up; kept the secret"
)
_WHERE = (
    "in the garden; at the station; near the bridge; behind the house; in the village; at my aunt's place; "
    "on the train; by the lake; in the attic; at the market; in the middle of nowhere; at the office; "
    "on the way home; at the hospital; in the old town; under the stairs; in the kitchen; at school; "
    "in the mountains; at the beach; on the roof; near the airport; in the library; at the farm; on the island; "
    "behind the church; outside the town; at the party; in the cellar; by the window; in the park; "
    "across the street; on the boat; at the factory; in front of the museum; at my desk"
)
_SO = (
    "and it was very cold; and nobody knew why; because it was raining; and everyone laughed; "
    "which was really strange; so we stayed a little longer; and that took forever; but it did not matter; "
    "and then the light went out; which nobody had expected; and i was so tired; because the shop was closed; "
    "and the children loved it; and it rained the whole time; but nobody minded; and i will never forget it; "
    "so we had to start again; because the car broke down; although it was late; and that was that; "
    "which made me laugh; and we all sang; but i did not say a word; because i had promised it; "
    "so everyone went home; and the dog barked all night; which cost a lot of money; and now it is broken; "
    "but it was worth it; until it got dark; while the others slept; and then the phone rang; "
    "which was a nice surprise"
)
_FEEL = (
    "i think; i suppose; i believe; i am sure; i must say; to be honest; you know; i have the feeling; i am afraid; "
    "i hope; i guess; in my opinion; sometimes i think; they say; people say; i have heard; it seems; i know; honestly; "
    "my mother always says; i am glad; the truth is; i noticed; i remember; the funny thing is; the problem is"
)
_IS = (
    "the weather is getting worse; the house is far too quiet; the new boss is very strict; the food is better at home; "
    "the rent is much too high; the neighbours are noisy; the winter is too long; the garden looks lovely; "
    "the trains are always late; my back hurts in the morning; the soup needs more salt; the old school was nicer; "
    "the children grow up so fast; the city has changed a lot; nobody writes letters any more; the job is tiring; "
    "it will snow before christmas; the film was far too long; my knee is much better now; the coffee tastes of soap; "
    "the sea was warm enough; the wind is really cold; this chair is uncomfortable; the bread was still warm; "
    "the meeting took too long; my new colleague is friendly; the dog needs a bath; the roof is leaking again; "
    "the summer was far too short; the sun is finally out; the prices have gone up; the traffic is terrible; "
    "the flat is small but bright; the music was too loud; the doctor was very kind; my phone is always empty; "
    "the books are all dusty; the roses smell wonderful; the street is empty at night; the milk has gone off; "
    "the lessons are hard work; everything was easier then; the team played badly; the hotel was a disappointment"
)
_PLAN = (
    "i am going to; we are going to; next year i will; i have decided to; we are planning to; i would love to; "
    "one day i want to; my sister wants to; my parents plan to; tomorrow i have to; on saturday we will; i still have to; "
    "i have always wanted to; my brother is about to; this summer we will; soon i will; i am trying to; we might"
)
_DO = (
    "paint the bedroom; visit my cousin in the north; learn the guitar; move to the countryside; clean the whole house; "
    "grow my own vegetables; get up earlier; finish the course; sell the motorbike; see the doctor; sleep in a tent; "
    "invite the whole family; bake bread for the market; buy a smaller car; walk along the coast; read more books; "
    "start my own business; work a little less; drive to the seaside; fix the bathroom; have a big party; write a novel; "
    "travel through the desert; stay at home; plant a cherry tree; get a second dog; ride a horse; spend less money; "
    "eat less sugar; go to the theatre; meet some old friends; take the children to the zoo; tidy the garage; "
    "go skiing with the team; cook for my parents; change the curtains; look after my grandson; join the swimming club"
)
_LIVE = (
    "my grandfather was a baker; my sister works at a hospital; i grew up on a farm; we have lived here for years; "
    "i work in a small office; our house stands near the river; my son plays the trumpet; my daughter studies law; "
    "i used to be a teacher; my wife comes from the south; we have two cats and a parrot; i share a flat with friends; "
    "our street has no shops; my uncle keeps bees; i walk to work every day; my brother drives a lorry; "
    "we eat together on sundays; i get up at six; my friend collects stamps; my parents met at a dance; "
    "the old house had a blue door; my first car was a wreck; our cat sleeps all day; i sing in a choir; "
    "my best friend lives abroad; the dog sleeps under my bed; my aunt never married; the village has one shop"
)
_AND = (
    "and i like it that way; but that is fine with me; and nobody can change that; so there is always something to do; "
    "and it makes me happy; but it makes me sad sometimes; and i miss it a lot; because life is short; "
    "but my family thinks otherwise; and that is a good thing; so i try not to worry; although it is not easy; "
    "and i am proud of it; but i got used to it; which is a bit of a shame; and it has always been like that"
)
_CARRIED = (
    "in the {place} there was a {x} and a {y} next to it; yesterday i saw a {x} and later a {y}; "
    "my mother likes {x} but my father likes {y}; we talked about {x} for a while and then about something else; "
    "on the table there is {x} and that is all we have left; he said {x} and she said {y} and nobody listened; "
    "i think that {x} is better than {y} but who knows; "
    "it was raining when we found the {x} and everyone was happy; "
    "first came {x} then came {y} and then we went home; the {place} was closed but they still had {x} for us; "
    "please do not forget the {x} when you go there; i have never liked {x} so much as in this {place}; "
    "somebody wrote {x} on the wall of the {place}; my friend always talks about {x} and never about {y}; "
    "the old lady in the {place} wanted {x} and got {y}; when i was small i dreamt of {x} every night; "
    "we had {x} at the {place} and it was lovely; there is a picture of a {x} in the {place}; "
    "i read a long story about a {x} and a {y}; somebody left a {x} in front of the {place}; "
    "my son drew a {x} with a {y} on top; i never thought that {x} would matter so much; "
    "they were looking for {x} and found {y} instead; the word {x} is hard to spell for me; "
    "she laughed about the {x} all the way home; for years we had no {x} in the {place}; "
    "the book says a lot about {x} and little about {y}; last night i dreamt of a {x} in the {place}"
)
_PLACES = "kitchen; street; village; office; garden; harbour; museum; school; forest; hotel"
_NUMBERED = (
    "there were {x} people in the room and {y} of them were asleep; i waited {x} minutes and then {y} more; "
    "she has {x} cats and {y} chickens at home; we need {x} chairs and {y} plates for tonight; "
    "page {x} is missing and page {y} is torn; i walked {x} miles on the first day and {y} on the second; "
    "he is {x} years old and his sister is {y}; it costs {x} or maybe {y} i am not sure; "
    "bus number {x} is late but number {y} is on time; the house has {x} rooms and {y} windows; "
    "we ordered {x} pizzas and {y} salads; they scored {x} goals and we scored {y}; "
    "my flat is on floor {x} and hers on floor {y}; i have read {x} books and {y} letters this month; "
    "it took us {x} hours and {y} minutes; the team has {x} players and {y} coaches; "
    "i bought {x} apples and {y} onions; {x} of the {y} lamps are broken"
)
_COLOURED = (
    "she wore a {x} coat and a {y} hat; the door is {x} and the roof is {y}; "
    "i painted the wall {x} but it looks {y} now; he has a {x} car with {y} seats; "
    "the sky was {x} and the sea was {y}; we bought {x} shoes and a {y} bag; "
    "there is a {x} cup behind the {y} box; her eyes are {x} and her hair is {y}; "
    "the flag was {x} with a {y} stripe; my room is {x} with {y} curtains; he painted a {x} horse on a {y} field; "
    "the flowers were {x} at first and {y} later; the bus is {x} and the tram is {y}; "
    "my socks are {x} and my shirt is {y}; i wanted the {x} one but they only had {y}"
)
_ASIDES = (
    "no mum i am on the phone; can you close the door please; the dog wants to go out; "
    "dinner is ready in a minute; put it over there please; i will be right with you darling; "
    "hold the baby for a second; just leave it on the desk; who is at the door; tell him i am not at home; "
    "give me the blue one no the other one; not you i mean my son; yes dear i heard you; "
    "could somebody turn the radio down; leave the cat alone; you can go now i am fine; did you feed the fish; "
    "your keys are on the shelf; honey where is my coat; good bye have fun at school; one large coffee please; "
    "the next stop is the main station; it is your turn to cook; anna come here please; tom wash your hands; "
    "sit down rex; good boy now give me the ball; max do not chew on that; ben finish your homework; "
    "come on kids into the car; lisa your lunch is ready; mum where did you put my jacket; "
    "dad can you lift this for me; darling have you seen my glasses; honey the kettle is boiling; "
    "sweetheart it is time to get up; love could you pass me the salt; waiter the bill please; "
    "waiter could we have some more water; two beers and a tea please; i will have the fish thank you; "
    "excuse me sir is this seat taken; madam you dropped your glove; doctor it hurts right here; "
    "hello susan it is me i am on the train; sorry john i will call you back later; "
    "yes mister miller the parcel has arrived; no peter i have not sent it yet; hello is that the pharmacy; "
    "could you put me through to the manager please; okay mum i will be home by seven; tell grandma i said hello; "
    "kids stop fighting; emma put your phone away; jack leave your sister alone; lucy your shoelace is open; "
    "down bella down; off the sofa bruno; here kitty dinner time; get out of the kitchen you silly cat; "
    "fetch the stick rocky; who left the door open; did you lock the car darling; shall we go home now dear; "
    "have you paid the gas bill paul; david are you coming with us; maria can you take the minutes today; "
    "team let us meet in room four; could you sign here please sir; next customer please; "
    "that makes twelve pounds please; keep the change; can i see your ticket please; mind the step madam; "
    "the doctor will see you now mister brown; watch out there is a car coming; "
    "hold my hand when we cross the road; do not run by the pool; brush your teeth and then off to bed; "
    "it is bedtime little one; give your brother a turn; share the sweets with your cousin; "
    "say thank you to auntie; blow your nose sweetie; put your hat on it is cold; eat your peas please; "
    "no more sweets before dinner; one bedtime story and then lights out; who wants ice cream; "
    "whose shoes are these; where did you leave your schoolbag oliver; have you fed the rabbit sophie; "
    "take the bins out will you harry; can you hold the ladder for me frank; pass me the hammer joe; "
    "a little to the left charlie; lift it on three guys; turn the key slowly martin; let me drive this time love; "
    "you missed the exit dear; pull over here please driver; to the central station please; "
    "could you open the boot for me; hold the lift please; which floor do you need sir; "
    "press the button for me would you; good morning miss taylor your coffee is on the desk; "
    "karen have you got the file; steve the printer is jammed again; can someone get the phone; it is for you dad; "
    "there is a man at the door mum; come in and take a seat mrs green; let me take your coat; "
    "would you like some cake aunt mary; help yourself to the biscuits everyone; more gravy uncle fred; "
    "cheers everybody; happy birthday grandpa; blow out the candles mia; smile for the camera everyone; "
    "move closer together please; look at your father he fell asleep; ssh the baby is asleep; "
    "the baby needs changing dear; rock her a little please; your bath is ready leo; "
    "out of the bathroom now george; you have been in there for an hour nina; i am in the garden darling; "
    "bring the washing in it is raining; throw me the towel please alex; catch the ball noah; well played girls; "
    "run faster boys; your turn to shuffle henry; i raise you by ten bill; you cheated i saw it grandpa; "
    "pardon me is this the queue; after you madam; could you move your bag please; "
    "sorry i thought you were someone else; nice to see you too mrs baker; give my love to the family; "
    "i will ring you tonight sis; he is not here right now may i take a message; wrong number i am afraid; "
    "hang on luke my other phone is ringing; i am in a meeting i will call you back; "
    "nothing dear i was talking to the computer; no not now sweetie daddy is working; wait outside for me tim; "
    "in a minute boys i am nearly done; turn that television down kids; close the window would you ruth; "
    "is it cold in here or is it me greta; lay the table please girls; chop the onions for me love; "
    "the oven is hot do not touch it; taste this dear is it too salty; pour me another one barman; "
    "a table by the window please; same as always for me eddie"
)
_ASIDES_HELD = (
    "take your shoes off please; the milk is in the fridge; grandma is calling you; we leave in ten minutes; "
    "come down from there felix; has anybody walked the dog yet; pass the potatoes please granny; "
    "the usual please tony; stop teasing the cat arthur; hello rachel i am just leaving the house; "
    "miss could you bring us the menu; stay molly stay; dad your tea is getting cold; see you at practice coach; "
    "nurse may i have another pillow"
)


_NAMES = (
    "anna; tom; ben; lisa; emma; jack; lucy; david; maria; paul; peter; susan; john; karen; steve; oliver; sophie; "
    "harry; frank; joe; charlie; martin; ruth; tim; nina; george; leo; alex; noah; henry; bill; luke; greta; eddie; "
    "mum; dad; darling; honey; sweetie; dear; love; grandma; grandpa; kids; boys; girls; everyone; guys; sir; madam; "
    "waiter; driver; rex; bella; bruno; kitty; rocky; my dear; uncle fred; aunt mary; mister brown; miss taylor"
)
_BID = (
    "come here for a second; close the window; put the kettle on; pass me the butter; take your feet off the table; "
    "feed the cat; bring me my glasses; wash your hands before dinner; open the door for the postman; "
    "turn the music down; switch the light off; stop running around; sit still for a minute; hold this for me; "
    "look what i found; get in the car; tidy up your room; pick up your toys; help me with the bags; mind your head; "
    "wait for your sister; answer the phone; set the table; eat your soup; go and get dressed; hurry up a bit; "
    "leave it alone; let go of that; give it back to him; watch the road; slow down a little; have a biscuit; "
    "sit next to me; try this cake; hang up your coat; lock the back door; water the plants; walk the dog; "
    "move over a bit; do not forget your lunch; take an umbrella with you; call me when you get there; "
    "put that knife down; drink your milk; blow out the candle; hand me the screwdriver; bring the ladder in; "
    "check the oven; stir the sauce; do not touch the paint"
)
_FAMILY = (
    "where did you put the keys; have you seen my phone; is the bath ready; what did you do at school today; "
    "did the post come; who ate the last cookie; are you hungry; is your homework done; where are your shoes; "
    "did you sleep well; do you want some tea; when will you be home; who was that on the phone; is it raining outside; "
    "why is the floor wet; did you call your mother; have you fed the dog; are we out of milk; whose coat is this; "
    "what do you want for dinner; can you pick me up at six; would you like another slice; is the baby asleep; "
    "have you packed your bag; did you pay the rent; how was your day at work; shall i turn the heating on"
)


_HESITATIONS = (
    "um; uh; er; erm; um um; uh um; er well; well um; so um; let me um; hm hm; ah; oops; whoops; wow; ouch; ugh; brr; "
    "ha ha; hee hee; oh dear; oh my; my goodness; bless me; psst; la la la; oh man; ah there it is; "
    "there we go; now where was it; um okay so; uh let us see; oh i see it now; hm where was i; what was it again; "
    "ah yes; dear me; good grief; oh well; well well; er no; hm no; ow; aargh; yikes; gosh; um er; uh er um"
)
_HESITATIONS_HELD = "uh uh; er um; oh boy; goodness me; so uh; well er; ha; ooh; oh there it was; um well"
_CALLED = (
    "mia; jonas; clara; felix; hannah; theo; amy; oscar; ella; victor; rosa; hugo; nora; simon; alice; walter; judy; "
    "marcus; irene; colin; betty; gary; wendy; doctor jones; mister smith; mrs clark; professor; coach; captain; officer; "
    "nurse; miss; sir; ladies; lads; team; children; son; buddy; mate; grandad; nan; auntie; uncle bob; cousin; "
    "baby; princess; sleepyhead; puppy; shadow; whiskers; duke; lucky; ginger; everybody; folks; class; gentlemen"
)
_ASKED_OF = (
    "get the {o} please; where is my {o}; hand me the {o}; have you got the {o}; put the {o} back; do not lose the {o}; "
    "i found your {o}; leave the {o} on the table; you forgot your {o}; that is not your {o}; "
    "could you bring the {o}; who took the {o}; this {o} is yours i think; give the {o} to your brother; "
    "careful with the {o}; is that a new {o}; i like your {o}; show me your {o}; the {o} is over there; "
    "shall i carry the {o}; how much is the {o}; i will take the {o}; we need another {o}; clean the {o} afterwards; "
    "did you buy a {o}; you can keep the {o}; mend the {o} when you have time; hide the {o} quickly"
)
_OBJECTS = (
    "towel; basket; bottle; hammer; cup; spoon; blanket; pencil; newspaper; ticket; bag; coat; scarf; lamp; brush; bucket; "
    "plate; pan; suitcase; camera; guitar; ball; book; parcel; bill; menu; receipt; pillow; torch; jacket; jumper; hat; "
    "rope; leash; bowl; cushion; toothbrush; napkin; wallet; helmet; racket; folder; stapler; charger; remote"
)
_STATED = (
    "i am coming in a minute; we are late; dinner smells great; that was delicious; i will be back soon; you look tired; "
    "it is your bedtime; the taxi is here; your show is on; the match starts at eight; i have to hang up now; "
    "somebody is ringing the bell; you are in my way; i said no; that hurts; that is enough for today; good night then; "
    "see you on monday; welcome home; nice to meet you; long time no see; you have grown so much; it is not my fault; "
    "we will talk about it later; do as your mother says; keep your voice down; we close at six; your table is ready; "
    "the manager is on holiday; you may leave early today; i am talking to someone; not in front of the children"
)


def _more_aside(rng: random.Random) -> str:
    """Words to somebody who is called by name, about a thing, or just so."""
    said = _of(rng, _STATED) if rng.random() < 0.35 else _of(rng, _ASKED_OF).format(o=_of(rng, _OBJECTS))
    return f"{_of(rng, _CALLED)} {said}" if rng.random() < 0.55 else f"{said} {_of(rng, _CALLED)}"


def _aside(rng: random.Random) -> str:
    """A bidding or a question to somebody who is called by name."""
    said, name = _of(rng, _BID if rng.random() < 0.65 else _FAMILY), _of(rng, _NAMES)
    shape = rng.random()
    if shape < 0.45:
        return f"{name} {said}"
    return f"{said} {name}" if shape < 0.8 else f"{said} please {name}"


def _of(rng: random.Random, texts: str) -> str:
    return rng.choice(texts.split("; "))


def _story(rng: random.Random) -> str:
    """What happened, for the most part; else an opinion, a plan, or how somebody lives."""
    shape = rng.random()
    if shape < 0.5:
        return _event(rng)
    if shape < 0.68:
        parts = [_of(rng, _FEEL), _of(rng, _IS)] if rng.random() < 0.7 else [_of(rng, _IS)]
    elif shape < 0.88:
        parts = [_of(rng, _PLAN), _of(rng, _DO)]
    else:
        parts = [_of(rng, _LIVE)]
    return " ".join([*parts, _of(rng, _AND)] if rng.random() < 0.5 else parts)


def _event(rng: random.Random) -> str:
    parts = [_of(rng, _WHO), _of(rng, _DID), _of(rng, _WHERE)]
    if rng.random() < 0.5:
        parts.insert(0, _of(rng, _WHEN))
    if rng.random() < 0.6:
        parts[-1:] = [parts[-1], _of(rng, _SO)] if rng.random() < 0.6 else [_of(rng, _SO)]
    return " ".join(parts)


def _carrier(rng: random.Random) -> str:
    category = rng.choice([*CATEGORIES, "number", "colour", "number", "colour"])
    if category == "number":
        return _of(rng, _NUMBERED).format(x=rng.choice(NUMBERS[:12]), y=rng.choice(NUMBERS[:12]))
    if category == "colour":
        return _of(rng, _COLOURED).format(x=rng.choice(COLOURS), y=rng.choice(COLOURS))
    x, y = rng.choice(CATEGORIES[category]), rng.choice(CATEGORIES[rng.choice(list(CATEGORIES))])
    return re.sub(r"\ba (?=[aeiou])", "an ", _of(rng, _CARRIED).format(x=x, y=y, place=_of(rng, _PLACES)))


def _counting(rng: random.Random) -> str:
    """A count from one: right, or with a number left out, said twice, or two left out."""
    last = rng.randint(5, 14)
    numbers = NUMBERS[:last]
    place = rng.randrange(2, last - 1)
    match rng.choice("left left twice jump right".split()):
        case "left":
            del numbers[place]
        case "twice":
            numbers.insert(place, numbers[place])
        case "jump":
            del numbers[place : place + 2]
    return " ".join(numbers)


def _drawn(name: str, count: int) -> list[str]:
    rng = random.Random(name)
    make = {"stories": _story, "carriers": _carrier, "countings": _counting, "asides": _aside, "more asides": _more_aside}[name]
    found: dict[str, None] = {}
    for _ in range(count * 20):
        found[make(rng)] = None
        if len(found) == count:
            break
    return list(found)


def free_speech(held_out: bool) -> dict[str, list[str]]:
    """Sentences by kind (stories, carriers, countings, asides, hesitations, signs, leads) of either half."""
    counts = {"stories": STORIES, "carriers": CARRIERS, "countings": COUNTINGS, "asides": ASIDES, "more asides": MORE_ASIDES}
    halves = {
        name: [t for n, t in enumerate(_drawn(name, count)) if (n % HELD_OUT_EVERY == 0) == held_out]
        for name, count in counts.items()
    }
    asides = [*(_ASIDES_HELD if held_out else _ASIDES).split("; "), *halves["asides"], *halves.pop("more asides")]
    hesitations = (_HESITATIONS_HELD if held_out else _HESITATIONS).split("; ")
    others = {"hesitations": hesitations, "signs": signs(held_out), "leads": list(leads(held_out))}
    return {**halves, "asides": list(dict.fromkeys(asides)), **others}
