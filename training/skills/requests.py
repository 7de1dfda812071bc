"""Open requests: what users ask that nano can't answer itself and hands on to the background.

A seeded grammar: frames ("could you please …") around questions and commands, whose slots are filled from lexicons. The
held-out half has templates and frames of its own, and every eighth filling of each lexicon; training has the others.
"""

from __future__ import annotations

import random
import re
from functools import cache

TRAINED, HELD_OUT = 5000, 400
WORDS = range(3, 13)
HELD_OUT_EVERY = 8

_LEXICON: dict[str, str] = {
    "city": "london; paris; berlin; rome; madrid; tokyo; sydney; moscow; dublin; hamburg; munich; venice; naples; prague; budapest; "
    "warsaw; krakow; oslo; stockholm; copenhagen; helsinki; athens; istanbul; cairo; nairobi; cape town; mumbai; delhi; "
    "bangkok; singapore; hong kong; beijing; shanghai; seoul; osaka; melbourne; toronto; montreal; chicago; seattle; denver; "
    "dallas; miami; new york; los angeles; san francisco; mexico city; lima; havana; glasgow; leeds; bristol; oxford; geneva",
    "country": "spain; italy; germany; poland; norway; sweden; finland; greece; turkey; egypt; kenya; india; china; japan; canada; mexico; "
    "brazil; chile; peru; ireland; iceland; denmark; belgium; holland; hungary; romania; croatia; morocco; nigeria; ethiopia; "
    "vietnam; thailand; indonesia; new zealand; argentina; colombia; cuba; jamaica; portugal; ukraine; switzerland; malta",
    "work": "hamlet; the odyssey; war and peace; moby dick; frankenstein; dracula; the jungle book; don quixote; emma; great expectations; "
    "the hobbit; animal farm; treasure island; the time machine; peter pan; alice in wonderland; jane eyre; macbeth; faust; "
    "oliver twist; little women; the trial; crime and punishment; the little prince; gulliver's travels; heidi; king lear",
    "film": "casablanca; jaws; titanic; star wars; the godfather; vertigo; gladiator; toy story; the lion king; avatar; rocky; alien; "
    "the matrix; jurassic park; home alone; the sound of music; psycho; bambi; finding nemo; king kong",
    "person": "mozart; beethoven; picasso; napoleon; cleopatra; einstein; marie curie; isaac newton; charles darwin; galileo; shakespeare; "
    "charlie chaplin; elvis presley; mahatma gandhi; nelson mandela; abraham lincoln; queen victoria; julius caesar; columbus; "
    "leonardo da vinci; michelangelo; bach; rembrandt; florence nightingale; socrates; plato; aristotle; marco polo; joan of arc; "
    "martin luther king; anne frank; frida kahlo; van gogh; ada lovelace; alan turing; neil armstrong; agatha christie; vivaldi",
    "friend": "anna; tom; my mother; my father; my sister; my brother; grandma; peter; maria; doctor lee; the plumber; my boss; laura; "
    "my neighbour; uncle bob; the dentist; sarah; david; the school; emma; my landlord; jack; the office; my wife; my husband; "
    "ben; susan; the bank; the hotel; my cousin; daniel; lucy; mister brown; the garage; my daughter; my son; the vet",
    "dish": "lasagne; pancakes; tomato soup; bread; an apple pie; risotto; pizza; fish and chips; a curry; chocolate cake; an omelette; "
    "pasta; fried rice; goulash; potato salad; roast chicken; meatballs; sushi; paella; scrambled eggs; cheesecake; pea soup; "
    "waffles; dumplings; beef stew; a fruit salad; ginger biscuits; porridge; mushroom sauce; hummus; tacos; banana bread; noodles",
    "food": "rice; salmon; an egg; honey; broccoli; an avocado; chocolate; cheese; spinach; peanut butter; a mango; oatmeal; garlic; "
    "olive oil; a carrot; yoghurt; tofu; beans; bacon; a potato; ginger; almonds; butter; lentils; cabbage; coconut milk",
    "animal": "cat; dog; elephant; whale; spider; penguin; shark; tiger; owl; bat; bee; horse; snail; snake; frog; octopus; camel; giraffe; "
    "squirrel; dolphin; hedgehog; butterfly; crocodile; turtle; eagle; ant; kangaroo; polar bear; wolf; fox; mouse; parrot; seal; "
    "lobster; beaver; koala; cheetah; rabbit; goose; gorilla",
    "thing": "rainbow; battery; computer; vaccine; microwave; fridge; solar panel; jet engine; nuclear reactor; compass; violin; printer; "
    "satellite; submarine; helicopter; heat pump; magnet; volcano; black hole; wind turbine; light bulb; transistor; barometer; "
    "parachute; washing machine; touch screen; radio; lightning rod; loudspeaker; glacier; tornado; bank loan; mirror; laser; camera",
    "topic": "gravity; electricity; evolution; inflation; the internet; the roman empire; the french revolution; climate change; the big bang; "
    "quantum physics; machine learning; the stock market; democracy; chess; jazz; baroque music; the cold war; the ice age; "
    "world war two; yoga; ancient egypt; the silk road; the human brain; the immune system; dinosaurs; black holes; the vikings; "
    "modern art; the water cycle; recycling; solar energy; the moon landing; plate tectonics; bitcoin; buddhism; opera; the tides; "
    "the industrial revolution; the european union; renewable energy; artificial intelligence; genetics; the stone age; surfing",
    "invention": "telephone; bicycle; radio; clock; printing press; typewriter; thermometer; microscope; zip; safety pin; aeroplane; "
    "computer mouse; television; dishwasher; pencil; umbrella; paper clip; calendar; parachute; refrigerator; ballpoint pen; x ray",
    "place": "the eiffel tower; the great wall; the taj mahal; mount everest; the statue of liberty; big ben; the colosseum; niagara falls; "
    "the grand canyon; stonehenge; the white house; the golden gate bridge; the louvre; the suez canal; the black forest; "
    "lake victoria; the sahara; the matterhorn; the amazon river; the panama canal; mount fuji; the parthenon; the rhine; the nile",
    "sky": "the sun; the earth; the moon; jupiter; saturn; venus; the milky way; neptune; pluto; mercury; uranus; the north star",
    "body": "the heart; the liver; the lungs; the brain; the skin; the stomach; the kidneys; the spine; the ear; the eye; the knee; the pancreas",
    "shop": "pharmacy; supermarket; bakery; petrol station; bookshop; hardware store; post office; bank; library; swimming pool; cinema; "
    "museum; restaurant; italian restaurant; coffee shop; hospital; dentist; hairdresser; car park; playground; bus stop; park; "
    "gym; train station; police station; hotel; vegetarian restaurant; flower shop; toy shop; charging station; zoo; cash machine",
    "ware": "bicycle; winter coat; mattress; laptop; used car; lawn mower; guitar; coffee machine; suitcase; phone case; desk lamp; sofa; "
    "vacuum cleaner; tent; rain jacket; pair of boots; kettle; camera; birthday cake; wedding dress; washing machine; printer; "
    "headset; cookbook; sleeping bag; bookshelf; frying pan; toaster; backpack; kayak; chess set; hammer; garden hose; piano",
    "item": "milk; bread; eggs; butter; apples; onions; toothpaste; coffee; flour; batteries; cheese; bananas; dog food; soap; tomatoes; "
    "sugar; orange juice; paper towels; rice; salt; nappies; stamps; washing powder; candles; shampoo; bin bags; tea; yeast",
    "music": "some jazz; the beatles; my morning playlist; some quiet music; a lullaby; something by mozart; the latest hits; some rock music; "
    "the radio; classical music; my favourite song; a podcast; an audio book; some piano music; country music; a love song; "
    "the news; whale sounds; something cheerful; an old blues song; the sound of rain; the next song; a christmas carol; some techno",
    "device": "lights; heating; television; fan; radio; kitchen light; alarm; air conditioning; lamp in the hall; coffee machine; oven; "
    "washing machine; bedroom light; garden lights; music; dishwasher; computer; floor lamp; sprinkler; camera; vacuum robot; kettle",
    "event": "meeting; dentist appointment; haircut; lunch with anna; call with the team; doctor's appointment; birthday party; piano lesson; "
    "job interview; car inspection; dinner with my parents; yoga class; parents' evening; team meeting; film night; swimming lesson; "
    "budget review; tennis match; concert; workshop; trip to the zoo; barbecue; first rehearsal; flight to rome; house viewing",
    "when": "today; tomorrow; tonight; on monday; on tuesday; on friday; this weekend; next week; this afternoon; tomorrow morning; on sunday; "
    "next month; at noon; at eight; at half past six; this evening; on thursday; in the morning; on saturday; next wednesday; at three",
    "span": "five minutes; two minutes; one hour; half an hour; twenty minutes; one day; an hour and a half; ten minutes; forty minutes; "
    "three hours; a quarter of an hour; fifteen minutes; six hours; ninety minutes; two days; a week; twelve minutes; eight hours",
    "duty": "call my mother; water the plants; take out the rubbish; buy milk; feed the cat; pay the rent; take my pills; lock the back door; "
    "send the report; pick up the kids; charge my phone; book the flights; defrost the chicken; walk the dog; return the books; "
    "renew my passport; check the oven; stretch my legs; write to the bank; collect the parcel; iron my shirt; turn off the oven; "
    "cancel the subscription; drink some water; bring in the washing; mow the lawn; thank the neighbours; ring the plumber",
    "language": "french; spanish; german; italian; polish; russian; dutch; greek; turkish; arabic; japanese; chinese; hindi; swahili; "
    "portuguese; swedish; danish; latin; korean; finnish; hungarian; welsh",
    "word": "water; bread; summer; friend; house; school; good morning; thank you; where is the station; i love you; happy birthday; butterfly; "
    "the bill please; how much is it; see you tomorrow; cheese; a cup of tea; good luck; grandmother; spoon; train ticket; ice cream; "
    "i am hungry; the sky is blue; left and right; excuse me; happy new year; library; monday; tree; snow; nice to meet you",
    "term": "irony; serendipity; photosynthesis; inflation; nostalgia; entropy; osmosis; hypothesis; metaphor; algorithm; renaissance; "
    "mortgage; dividend; empathy; monarchy; biodiversity; pandemic; sarcasm; paradox; gross domestic product; etiquette; quarantine; "
    "a leap year; a haiku; an equinox; an embargo; a prime number; a synonym; a solar eclipse; a palindrome; karma; a subpoena",
    "sum": "two plus two; seven plus five; nine minus four; six times seven; ten divided by two; eight plus three; twelve minus five; "
    "three times nine; twenty plus ten; five times five; fifteen minus eight; four plus nine; twelve times twelve; "
    "thirty percent of eighty; half of ninety; the square root of sixteen; one hundred minus forty; a third of sixty; "
    "seventeen times three; eighty divided by five; two thousand minus seven; ten percent of fifty; nineteen plus twenty three",
    "unit": "miles in a marathon; grams in an ounce; feet in a mile; hours in a week; days in a year; seconds in an hour; pints in a gallon; "
    "bones in the body; planets in the solar system; keys on a piano; players in a football team; strings on a guitar; "
    "weeks in a year; letters in the alphabet; teeth in a mouth; calories in an apple; cards in a deck; minutes in a day; "
    "countries in africa; states in america; moons around jupiter; muscles in the face; stars on the flag; languages in the world",
    "super": "longest river; highest mountain; fastest animal; biggest city; deepest lake; smallest country; oldest university; tallest building; "
    "hottest desert; largest island; heaviest metal; coldest place; biggest desert; longest bridge; rarest animal; richest country; "
    "busiest airport; oldest tree; loudest animal; most expensive painting; most spoken language; largest bird; strongest material",
    "fact": "the sky blue; the sea salty; the grass green; blood red; snow white; the night dark; ice slippery; venus so hot; gold so expensive; "
    "the moon round; glass transparent; honey sticky; yawning contagious; the ocean blue; water wet; the desert so cold at night; "
    "my bread so hard; the internet so slow today; petrol so expensive; rust orange; space black; butter yellow",
    "why": "cats purr; leaves fall; we dream; birds sing; onions make us cry; stars twinkle; people yawn; dogs bark; cats hate water; we sneeze; "
    "bees die; volcanoes erupt; planes fly; ships float; we get goosebumps; fish swim in schools; knuckles crack; babies cry; "
    "zebras have stripes; geese fly in a v; clocks go clockwise; we have fingerprints; magnets attract; tides change; muscles ache; "
    "tomatoes turn red; batteries run out; bubbles burst; wolves howl; flamingos stand on one leg; leaves change colour",
    "howto": "tie a tie; change a tyre; boil an egg; get to the airport; remove a wine stain; fold a paper plane; learn to juggle; fix a leaking tap; "
    "plant tomatoes; clean the oven; write a cover letter; open a bank account; sharpen a knife; grow basil; train a puppy; "
    "get rid of ants; sew on a button; play the ukulele; descale the kettle; unblock a drain; ask for a raise; file my taxes; "
    "apply for a passport; paint a ceiling; fall asleep faster; reset my password; back up my phone; save money; make a candle; "
    "peel a mango; wash a wool jumper; stop hiccups; hang a picture; build a bird house; connect the printer; bleed a radiator; "
    "pronounce this name; start a fire; ride a unicycle; knit a scarf; make friends in a new city",
    "match": "the world cup; the champions league; the last election; the tennis final; the super bowl; the tour de france; the grand prix; "
    "the marathon; the rugby match; the song contest; the chess championship; the match last night; the nobel prize; the boat race",
    "office": "president of france; prime minister; king of spain; mayor of london; president of brazil; pope; queen of denmark; "
    "head of the central bank; chancellor of germany; champion in chess; minister of health; coach of the national team; "
    "governor of texas; emperor of japan; captain of the team; director of that film; leader of the opposition",
    "doc": "my last email; this article; the minutes of the meeting; my notes; the contract; the weather report; the headlines; chapter two; "
    "the sports results; my messages; the letter from the bank; this recipe; the instructions; the report; the shopping list; "
    "my calendar; the user manual; the timetable; the news; the first page; the invoice; the menu; my unread mail; the reviews",
    "poem": "poem; short story; birthday card; thank you note; cover letter; limerick; email to my boss; shopping list; speech; love letter; "
    "song about the sea; haiku; bedtime story; packing list; invitation; apology; review; tongue twister; meal plan; riddle; diary entry",
    "joke": "a joke; a story; a riddle; a fun fact; something about the sea; a fairy tale; some good news; a ghost story; a secret of cooking; "
    "the latest news; the football results; the exchange rate; the pollen count; the date; the time; the winning numbers; a proverb",
    "pair": "coffee or tea; cats or dogs; butter or margarine; gas or electricity; jupiter or saturn; a tram or a bus; gold or silver; "
    "renting or buying; rice or pasta; diesel or petrol; wood or stone; london or paris; android or apple; wool or cotton; "
    "a lion or a tiger; running or swimming; a laptop or a tablet; honey or sugar; norway or finland; cash or card",
    "pairs": "these two phones; coffee and tea; london and new york; cats and dogs; rome and athens; solar and wind power; both contracts; "
    "the two hotels; rent prices in berlin and hamburg; wool and cotton; mozart and beethoven; trains and planes; a loan and a lease; "
    "electric and petrol cars; the last two reports; brown and white rice; paper and plastic bags; my two offers",
    "need": "a plumber; a cheap hotel; a good restaurant; cheap flights; a babysitter; a quiet tea room; a recipe for soup; a yoga video; a dog sitter; "
    "a second hand bike; a quiet beach; a good dentist; a piano teacher; a flat in town; the nearest chemist; a birthday present; "
    "tickets for the opera; a parking space; my keys; a spanish course; a holiday home; a campsite; a locksmith; a hiking trail; "
    "an electrician; a better job; an indian restaurant; an online map; a taxi; the best route home; a science museum; a gardener",
    "booking": "a table for two; a table for six; a room for one night; a taxi to the airport; two cinema tickets; a flight to {city}; "
    "a train to {city}; a hotel in {city}; a haircut; a massage; the tennis court; a seat by the window; a rental car; "
    "a ferry to {country}; a guided tour; an appointment; a meeting room; a double room; tickets to the zoo; a bus to {city}",
    "possible": "eat raw {food}; freeze cooked {food}; swim after lunch; drive to {city} in a day; grow lemons indoors; see {place} from space; "
    "travel to {country} without a visa; keep a {animal} as a pet; recycle batteries; breathe on the moon; put metal in a microwave; "
    "return a {ware} without a receipt; reuse tea bags; drink tap water in {country}; paint over wallpaper; plant roses in autumn; "
    "take a {animal} on a train; wash wool at sixty degrees; pay by card in {city}; live without sleep",
    "advice": "wear {when}; cook {when}; cook for six people; read next; buy for my sister; see in {city}; do about a cough; pack for {country}; "
    "watch {when}; do with old bread; plant in march; eat before a race; order with {dish}; write in a cover letter; say in a speech; "
    "give my father for his birthday; do at the weekend in {city}; drink with {dish}; study after school; bring to a picnic",
    "adjective": "safe; healthy; expensive; dangerous; poisonous; rare; legal; common; popular; cheap; famous; useful; difficult; good for you",
    "wonder": "the shop on the corner open; the train to {city} on time; {city} bigger than {city}; {food} healthy; the museum open {when}; "
    "my flight delayed; the tomato a fruit; the {device} still on; the {shop} still open; it cold in {country} in winter; "
    "there a {shop} near here; there life on mars; it going to snow {when}; there any milk left; there a train to {city} {when}; "
    "the road to {city} closed; {country} in the european union; {person} still alive; it a public holiday {when}; "
    "a {animal} a mammal; {city} expensive; {country} bigger than {country}; there a bus to {place}; {film} a good film; "
    "the water in {city} safe to drink; the bank open {when}; a {ware} worth the money; {dish} hard to make",
}  # fmt: skip

# Questions as they're asked outright, "|", as they follow "do you know" (only outright without a bar).
_QUESTIONS = """
what is the capital of {country}|what the capital of {country} is
what is the weather like in {city}|what the weather is like in {city}
what is the weather in {city} {when}|what the weather will be in {city} {when}
what is the temperature in {city}|what the temperature is in {city}
what time is it in {city}|what time it is in {city}
what language do they speak in {country}|what language they speak in {country}
what currency do they use in {country}|what currency they use in {country}
what is the population of {country}|what the population of {country} is
what is {country} famous for|what {country} is famous for
what does {term} mean|what {term} means
what is {term}|what {term} is
what is the meaning of {term}|what the meaning of {term} is
what is {sum}|what {sum} is
how much is {sum}|how much {sum} is
what is the {super} in the world|what the {super} in the world is
which is the {super}|which is the {super}
what is the {super} in {country}|what the {super} in {country} is
what do you call a baby {animal}|what a baby {animal} is called
what does a {animal} eat|what a {animal} eats
what sound does a {animal} make|what sound a {animal} makes
what does {body} do|what {body} does
what should i {advice}|what i should {advice}
what can i {advice}|what i can {advice}
what is on television {when}|what is on television {when}
what is on my calendar {when}|what is on my calendar {when}
what goes well with {food}|what goes well with {food}
what is the best way to {howto}|what the best way to {howto} is
what do i need to {howto}|what i need to {howto}
what is the difference between {pairs}|what the difference between {pairs} is
what is the {language} word for {word}|what the {language} word for {word} is
what happened in {country} last week|what happened in {country} last week
what is the news from {country}|what the news from {country} is
what is the phone number of {friend}|what the phone number of {friend} is
what kind of music did {person} like|what kind of music {person} liked
what was {person} famous for|what {person} was famous for
what is {film} about|what {film} is about
what is in {dish}|what is in {dish}
what is a {thing} made of|what a {thing} is made of
who wrote {work}|who wrote {work}
who is the author of {work}|who the author of {work} is
who directed {film}|who directed {film}
who plays the lead in {film}|who plays the lead in {film}
who invented the {invention}|who invented the {invention}
who was {person}|who {person} was
who was {person} married to|who {person} was married to
who won {match}|who won {match}
who is the {office}|who the {office} is
who built {place}|who built {place}
who discovered {sky}|who discovered {sky}
who can help me {howto}|who can help me {howto}
who is coming to the {event}|who is coming to the {event}
who called me {when}|who called me {when}
where is the nearest {shop}|where the nearest {shop} is
where can i buy a {ware}|where i can buy a {ware}
where can i find {need}|where i can find {need}
where is {place}|where {place} is
where was {person} born|where {person} was born
where do {animal}s live|where {animal}s live
where does {food} come from|where {food} comes from
where can i eat {dish} in {city}|where i can eat {dish} in {city}
where can i park in {city}|where i can park in {city}
where is the {event}|where the {event} is
where was {film} filmed|where {film} was filmed
where do i go to {howto}|where i go to {howto}
when was the {invention} invented|when the {invention} was invented
when was {person} born|when {person} was born
when did {person} die|when {person} died
when was {place} built|when {place} was built
when does the next train leave for {city}|when the next train leaves for {city}
when does the {shop} open|when the {shop} opens
when does the {shop} close {when}|when the {shop} closes {when}
when is my {event}|when my {event} is
when is the best time to visit {city}|when the best time to visit {city} is
when does the sun rise in {city}|when the sun rises in {city}
when does my flight to {city} leave|when my flight to {city} leaves
when did {work} come out|when {work} came out
when will it stop raining in {city}|when it will stop raining in {city}
why is {fact}
why do {why}|why {why}
why do {animal}s sleep so much|why {animal}s sleep so much
why was {person} so famous|why {person} was so famous
why does my {ware} make that noise|why my {ware} makes that noise
why is {topic} important|why {topic} is important
why did they build {place}|why they built {place}
why is {food} good for you|why {food} is good for you
how do i {howto}|how to {howto}
how can i {howto}|how i can {howto}
how do you make {dish}|how you make {dish}
how do i cook {dish} for six people|how i cook {dish} for six people
how does a {thing} work|how a {thing} works
how does {body} work|how {body} works
how do you say {word} in {language}|how you say {word} in {language}
how do you spell {term}|how you spell {term}
how did {person} die|how {person} died
how did {match} end|how {match} ended
how many {unit} are there|how many {unit} there are
how many legs does a {animal} have|how many legs a {animal} has
how many people live in {country}|how many people live in {country}
how many people live in {city}|how many people live in {city}
how many calories are in {food}|how many calories are in {food}
how many books did {person} write|how many books {person} wrote
how much does a {ware} cost|how much a {ware} costs
how much does a {animal} weigh|how much a {animal} weighs
how much is a ticket to {city}|how much a ticket to {city} is
how much sugar is in {food}|how much sugar is in {food}
how long does it take to {howto}|how long it takes to {howto}
how long does {dish} take|how long {dish} takes
how long do {animal}s live|how long {animal}s live
how long is the flight to {city}|how long the flight to {city} is
how long does {food} keep in the fridge|how long {food} keeps in the fridge
how far is it to {city}|how far it is to {city}
how far is {sky} from here|how far {sky} is from here
how far is the nearest {shop}|how far the nearest {shop} is
how old is {place}|how old {place} is
how old was {person} when he died|how old {person} was then
how big is {sky}|how big {sky} is
how big is {country}|how big {country} is
how tall is {place}|how tall {place} is
how fast can a {animal} run|how fast a {animal} can run
how often does the bus to {city} go|how often the bus to {city} goes
how often should i {duty}|how often i should {duty}
how cold does it get in {city}|how cold it gets in {city}
how dangerous is a {animal}|how dangerous a {animal} is
how expensive is {city}|how expensive {city} is
which is better {pair}|which is better {pair}
which is cheaper {pair}|which is cheaper {pair}
which train goes to {city}|which train goes to {city}
which countries border {country}|which countries border {country}
which bus goes to {place}|which bus goes to {place}
which {ware} should i buy|which {ware} i should buy
which wine goes with {dish}|which wine goes with {dish}
which planet is closest to {sky}|which planet is closest to {sky}
whose turn is it to {duty}|whose turn it is to {duty}
is {wonder}
is {food} {adjective}|if {food} is {adjective}
are {animal}s {adjective}|if {animal}s are {adjective}
are there any {shop}s near {place}|if there are any {shop}s near {place}
is it possible to {possible}|if it is possible to {possible}
is it okay to {possible}|if it is okay to {possible}
does the {shop} open {when}|if the {shop} opens {when}
does {food} contain gluten|if {food} contains gluten
does it snow in {country}|if it snows in {country}
does a {animal} lay eggs|if a {animal} lays eggs
do {animal}s sleep at night|if {animal}s sleep at night
do {animal}s make good pets|if {animal}s make good pets
do i need a visa for {country}|if i need a visa for {country}
do i have a {event} {when}|if i have a {event} {when}
did {person} ever visit {city}|if {person} ever visited {city}
did {friend} call {when}|if {friend} called {when}
did {person} know {person}|if {person} knew {person}
can {animal}s swim|if {animal}s can swim
can i {possible}|if i can {possible}
can dogs eat {food}|if dogs can eat {food}
can you {possible}|if you can {possible}
will it rain in {city} {when}|if it will rain in {city} {when}
will the {shop} be open {when}|if the {shop} will be open {when}
will i need an umbrella {when}|if i will need an umbrella {when}
should i take the train to {city}|if i should take the train to {city}
should i buy a {ware}|if i should buy a {ware}
should i put {food} in {dish}|if i should put {food} in {dish}
was {person} rich|if {person} was rich
has {friend} answered my message|if {friend} has answered my message
have you got a recipe for {dish}|if there is a recipe for {dish}
could i {possible}|if i could {possible}
"""
_QUESTIONS_HELD = """
what is the longest river in {country}|what the longest river in {country} is
what colour is a {animal}|what colour a {animal} is
what did {person} discover|what {person} discovered
what are people in {city} eating|what people in {city} eat
who painted {place}|who painted {place}
who taught {person}|who taught {person}
who sells a {ware} near me|who sells a {ware} near me
where does the {animal} sleep|where the {animal} sleeps
where should i stay in {city}|where i should stay in {city}
when was {film} made|when {film} was made
when do {animal}s wake up|when {animal}s wake up
why did {person} leave {country}|why {person} left {country}
why do people like {dish}|why people like {dish}
how heavy is a {animal}|how heavy a {animal} is
how popular is {topic}|how popular {topic} is
how much time do i need in {city}|how much time i need in {city}
how many hotels are in {city}|how many hotels are in {city}
which museum in {city} is the best|which museum in {city} is the best
which spices go into {dish}|which spices go into {dish}
is there an airport in {city}|if there is an airport in {city}
are tickets for {place} sold out|if tickets for {place} are sold out
does {friend} like {food}|if {friend} likes {food}
did {person} have children|if {person} had children
would a {animal} eat {food}|if a {animal} would eat {food}
will there be snow in {city}|if there will be snow in {city}
"""
_COMMAND_LINES = """
find {need}; find me {need}; find {need} in {city}; find out who {person} was; look for {need}; look up {term}; look up {person}
look up the opening hours of {place}; look up a recipe for {dish}; look up trains to {city}; book {booking}; book me {booking}
book {booking} for {when}; reserve {booking}; send a message to {friend}; send {friend} a message; send an email to {friend}
send flowers to {friend}; text {friend} that i am late; write to {friend} that i am ill; reply to {friend}; play {music}
play {music} in the kitchen; put on {music}; call {friend}; call {friend} back {when}; call a taxi to {place}; ring {friend} please
write a {poem}; write me a {poem}; write a {poem} for {friend}; write a {poem} about {topic}; translate {word} into {language}
translate {doc} into {language}; explain {topic}; explain {topic} to me; explain how a {thing} works; explain what {term} means
describe {place}; describe {topic} in one sentence; describe a {animal} to a child; summarise {doc}; summarise {doc} for me
summarise {work} in two sentences; compare {pairs}; compare prices for a {ware}; calculate {sum}; work out {sum}; order {dish}
order {dish} for two; order a {ware}; order more {item}; order {item} and {item}; turn on the {device}; turn off the {device}
turn the {device} on; turn the {device} off {when}; switch on the {device}; switch off the {device}; turn down the {device}
schedule a {event} {when}; schedule a {event} for {friend}; put a {event} in my calendar; move my {event} to {when}
cancel my {event}; cancel the {event} {when}; plan a {event} for {friend}; plan a trip to {city}; plan a week in {country}
read {doc}; read me {doc}; read {doc} out loud; read out {doc}; show me {doc}; show me the way to {place}; show me a map of {city}
show me pictures of {place}; show me flights to {city}; check {doc}; check the weather in {city}; check the traffic to {city}
check if the {shop} is open; check whether the {device} is off; check my spelling of {term}; search for {need}; search for news about {topic}
search the web for {topic}; search {doc} for my name; add {item} to my shopping list; add {item} and {item} to the list
add a {event} to my calendar; put {item} on the list; take {item} off the list; remind me to {duty}; remind me to {duty} {when}
remind me about the {event}; remind me in {span}; remind me in {span} to {duty}; set a timer for {span}; set an alarm for {when}
wake me up {when}; recommend a {shop} in {city}; recommend a book about {topic}; recommend a film like {film}; suggest a {poem}
suggest something to {advice}; give me a recipe for {dish}; give me directions to {place}; give me the news from {country}
give me three facts about {topic}; give me some information about {topic}; tell me {joke}; tell me about {topic}; tell me about {person}
tell me the capital of {country}; tell me the temperature in {city}; tell me more about {place}; tell me the story of {work}
tell {friend} that i am on my way; teach me how to {howto}; teach me some {language}; help me {howto}; help me with {topic}
define {term}; convert twenty dollars into euros; name three cities in {country}; list the countries around {country}
list the films with a {animal}; get me a taxi to {city}; get me {booking}; get the number of {friend}; open {doc}; open the map of {city}
start the {device}; start {music}; record {film} {when}; save {doc}; print {doc}; delete {doc}; forward {doc} to {friend}
pay the bill for the {device}; buy a {ware}; buy tickets to {city}; buy {item} online; navigate to {place}; invite {friend} to the {event}
ask {friend} about the {event}; ask {friend} to {duty}; share {doc} with {friend}; note that i have to {duty}; make a note to {duty}
make a list of {shop}s in {city}; make a plan for {when}; make an appointment with {friend}; choose a {ware} for me; track my parcel from {city}
message {friend} about the {event}; post {doc} online; spell {term} for me; solve {sum}; guess how old {person} was; rate {film}
quiz me about {topic}; sing a song about a {animal}; bring up {doc}; pull up {doc}; dim the lights in the hall; lock the front door
"""
_COMMANDS_HELD = """
look into {topic}; fetch {doc}; investigate {term}; review {doc}; arrange a {event} {when}; arrange {booking}; inform {friend} about the {event}
locate the nearest {shop}; outline {topic}; contrast {pairs}; purchase a {ware}; reschedule my {event}; put through a call to {friend}
pick a {shop} in {city}; draft a {poem}; let {friend} know that i am late; rank the cities of {country}; bring me news of {topic}
stream {music}; power down the {device}; estimate the price of a {ware}; introduce me to {topic}; mark the {event} in my diary
hunt down {need}; sketch a plan to {howto}
"""
_BEFORE = "hey; so; okay so; by the way; sorry but; okay; well; right so; hello; excuse me; hi; um; one more thing; quick question; listen; and; now"
_BEFORE_HELD = "oh; okay listen; another question; hm"
_ASKING = (
    "can you tell me; could you tell me; do you know; i would like to know; i want to know; i was wondering; would you mind telling me; tell me; "
    "please tell me; any idea; can you find out; could you find out; could you please tell me; do you happen to know; i wonder; "
    "can you say; i need to know; have you any idea; could you check; can you look up; do you have any idea; please find out; "
    "i am trying to find out; can you explain; can you please tell me; i am curious; would you know; tell me please; let me know"
)
_ASKING_HELD = "are you able to tell me; i have been wondering; may i ask; i have to know; would you tell me"
_POLITE = (
    "please; can you; could you; could you please; can you please; would you please; would you; i want you to; i would like you to; "
    "i need you to; will you; would you mind if i ask you to; can you quickly; please can you; please could you; can i ask you to; "
    "could you quickly; could you maybe; you could; just; now; then"
)
_POLITE_HELD = "might you; would it be possible for you to; kindly; be so kind and"
_AFTER = "please; for me; if you can; for me please; thanks; right now; quickly; when you have time; now; today; please thank you"
_AFTER_HELD = "if possible; when you can; if you would"

_POLITE_STARTS = re.compile(
    r"(?:(?:please|just|now|then|kindly|maybe|quickly|be so kind and|(?:can|could|would|will|might) you(?: mind if i ask you to)?"
    r"|you could|can i ask you to|i (?:want|need|would like) you to|would it be possible for you to) )+"
)
_INFORMING = re.compile(
    r"tell me|say |find out|check |let me know|(?:explain|look up) (?:wh|how|if)"
)  # asked politely: a question


def _lines(texts: str) -> list[str]:
    return [line.strip() for part in texts.strip().split("\n") for line in part.split(";") if line.strip()]


_BEFORE_STARTS = re.compile(rf"(?:{'|'.join(_lines(_BEFORE + ';' + _BEFORE_HELD))}) ")
COMMAND_VERBS = frozenset(template.split()[0] for template in _lines(_COMMAND_LINES + _COMMANDS_HELD))


def is_command(text: str) -> bool:
    """Whether something is to be done ("could you call anna"), rather than a question answered ("can you tell me who …")."""
    told = _BEFORE_STARTS.sub("", text)
    polite = _POLITE_STARTS.match(told)
    if polite:
        told = told[polite.end() :]
        if " you " in f" {polite.group()}" and _INFORMING.match(told):
            return False
    return told.split(" ")[0] in COMMAND_VERBS


@cache
def _fillings(name: str, held_out: bool) -> tuple[str, ...]:
    return tuple(f for n, f in enumerate(_lines(_LEXICON[name])) if (n % HELD_OUT_EVERY == 5) == held_out)


def _filled(template: str, held_out: bool, rng: random.Random) -> str:
    """Slots filled, those inside fillings too."""
    while "{" in template:
        template = re.sub(r"{(\w+)}", lambda slot: rng.choice(_fillings(slot[1], held_out)), template, count=1)
    return re.sub(r"\ba (?=[aeiou](?!niversity))", "an ", template)


def _question(held_out: bool, rng: random.Random) -> str:
    outright, _, embedded = rng.choice(_lines(_QUESTIONS_HELD if held_out else _QUESTIONS)).partition("|")
    if embedded and rng.random() < 0.4:
        asking = rng.choice(_lines(_ASKING_HELD if held_out else _ASKING))
        return _filled(f"{asking} {embedded}", held_out, rng)
    before = rng.choice(_lines(_BEFORE_HELD if held_out else _BEFORE)) + " " if rng.random() < 0.2 else ""
    after = " please" if not held_out and rng.random() < 0.04 else ""
    return _filled(f"{before}{outright}{after}", held_out, rng)


def _command(held_out: bool, rng: random.Random) -> str:
    text = rng.choice(_lines(_COMMANDS_HELD if held_out else _COMMAND_LINES))
    if rng.random() < 0.5:
        text = f"{rng.choice(_lines(_POLITE_HELD if held_out else _POLITE))} {text}"
    elif rng.random() < 0.25:
        text = f"{rng.choice(_lines(_BEFORE_HELD if held_out else _BEFORE))} {text}"
    if rng.random() < 0.15 and not text.endswith("please"):
        text = f"{text} {rng.choice(_lines(_AFTER_HELD if held_out else _AFTER))}"
    return _filled(text, held_out, rng)


@cache
def requests(held_out: bool) -> tuple[str, ...]:
    """Distinct requests of either half, the same every time: three of five are questions, the others commands."""
    rng = random.Random(f"requests {held_out}")
    found: dict[str, None] = {}
    wanted = HELD_OUT if held_out else TRAINED
    while len(found) < wanted:
        text = (_question if rng.random() < 0.6 else _command)(held_out, rng)
        if len(text.split()) in WORDS:
            found[text] = None
    return tuple(found)
