"""What is said in the evaluation, none of it in training/phrases.py; ``training/split.json`` keeps it out of there.

A bar marks where a turn may be cut for a pause. Questions to look up come with the word that the scripted language model
knows them by, its answer, and the word of the answer that shows that it was given.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """Something that must be looked up; that takes ``delay_ms``."""

    text: str
    key: str
    answer: str
    slot: str
    delay_ms: int


def _questions(table: str, delay_ms: int) -> tuple[Question, ...]:
    rows = [[cell.strip() for cell in line.split(";")] for line in table.strip().splitlines()]
    return tuple(Question(text, key, answer, slot, delay_ms) for text, key, answer, slot in rows)


CHAT = (
    "what should i call you", "how are things with you", "what sort of things can you do", "am i coming through",
    "could you give me a hand", "am i talking to a machine", "how many years old are you", "whereabouts are you",
    "who is behind you", "i am in a really good mood", "i feel a bit down", "are you paying attention",
    "do you have a name", "are you doing well today", "in what ways can you help", "does my voice reach you",
    "i could use some help", "are you some kind of computer", "when did somebody make you", "what place are you in",
    "which people made you", "today was a lovely day for me", "it has been a hard day for me",
    "are you following what i say", "what name do you go by", "hey hello", "well hello to you",
    "good day to you", "thanks for that", "i really appreciate it", "could you talk a bit slower",
    "i can barely hear you", "this is just a little test", "what are you able to do",
    "time for me to sleep good night", "could you say that one more time", "you did that very well",
    "oh my apologies for that", "so is anybody there", "how has your day been",
)  # fmt: skip

QUESTIONS = _questions(
    """
which city is the capital of hungary; hungary; Budapest is the capital of Hungary; budapest
name the capital of denmark; denmark; That would be Copenhagen; copenhagen
which ocean is the biggest; ocean; The Pacific is the biggest; pacific
which planet is the largest one; planet; The largest one is Jupiter; jupiter
who painted the mona lisa; mona; It was painted by Leonardo; leonardo
who composed the magic flute; flute; Mozart composed it; mozart
which metal is liquid in a warm room; metal; The liquid metal is mercury; mercury
which animal is the tallest of all; tallest; The giraffe is the tallest; giraffe
what language do people speak in brazil; brazil; They speak Portuguese there; portuguese
who discovered penicillin; penicillin; It was found by Fleming; fleming
which country looks like a boot; boot; Italy looks like a boot; italy
what do caterpillars turn into; caterpillars; They become a butterfly; butterfly
what is the currency of japan; japan; People pay with the yen; yen
what do bees make from nectar; bees; They make honey; honey
who was the first president of america; president; The first one was Washington; washington
which mountain is the highest in africa; africa; It is Kilimanjaro; kilimanjaro
what instrument has eighty eight keys; instrument; The piano has that many; piano
which city has the eiffel tower; eiffel; You find it in Paris; paris
what vegetable makes you cry; vegetable; Most likely an onion; onion
what season comes after winter; winter; After it comes spring; spring
""",
    1200,
)

SLOW_QUESTIONS = _questions(
    """
which desert is the hottest on earth; desert; I would say the Sahara; sahara
who wrote the play about romeo; romeo; Shakespeare wrote that play; shakespeare
what is frozen water called; frozen; It is called ice; ice
which sport is played at wimbledon; wimbledon; They play tennis there; tennis
what fruit is used to make wine; wine; Wine is made of grapes; grapes
which river flows through egypt; egypt; It is the Nile; nile
which colour comes from blue and yellow; yellow; Together they make green; green
how do fish breathe under water; fish; They breathe through gills; gills
what animal gives us wool; wool; Wool comes from sheep; sheep
which creature spins a web; web; A web is made by a spider; spider
what is the opposite of north; north; The opposite is south; south
what tool do you use on a nail; nail; You need a hammer; hammer
what do you call a young cat; cat; A young one is a kitten; kitten
which shape has three sides; shape; It must be a triangle; triangle
what does a baker make; baker; Mostly fresh bread; bread
what do you call a house of snow; snow; That is an igloo; igloo
which month has the fewest days; month; The shortest is February; february
what is a doctor for animals called; doctor; The word is vet; vet
what gas do balloons float with; balloons; They are filled with helium; helium
what do pandas like to eat; pandas; They live on bamboo; bamboo
""",
    4500,
)

LONG_QUESTIONS = _questions(
    """
describe what a volcano is; volcano; A volcano is a mountain where hot melted rock from deep inside the earth comes out at the top from time to time; mountain
say what a lighthouse is for; lighthouse; A lighthouse stands on the coast and sends a bright beam over the sea at night so that ships stay away from the rocks; lighthouse
describe how coffee gets made; coffee; Coffee begins as a red cherry on a tree whose seeds are washed and dried and roasted and ground before hot water is poured on them; coffee
what happens during an eclipse; eclipse; During an eclipse the moon moves between us and the sun and for a few minutes the day turns dark and cold and quiet; eclipse
describe the life of a salmon; salmon; A salmon is born in a small stream and swims to the sea and years later comes back to the very same stream to lay its eggs; salmon
what makes thunder so loud; thunder; Thunder is loud because lightning heats the air in an instant so that it bursts apart and sends a wave in every direction; thunder
describe how a compass works; compass; A compass has a small needle of iron that turns freely and always lines up with the weak magnetic field of our whole planet; compass
why do swallows fly south; swallows; Swallows fly south in autumn because the insects that they eat disappear when it grows cold and only come back with the warm days; swallows
what goes on inside a beehive; beehive; In a beehive thousands of sisters clean and feed and guard and build while one queen lays eggs all day long until the summer ends; queen
describe what a glacier does; glacier; A glacier is a slow river of ice that grinds valleys into the rock as it creeps down the mountain a few steps every year; ice
""",
    600,
)

COUNT_REQUESTS = (
    "i want you to count to {}", "would you count to {} for me", "let me hear you count to {}",
    "now count all the way to {}", "go ahead and count up until {}", "try counting to {} please",
)  # fmt: skip
COUNT_INSTEAD = (
    "no just count to {} instead", "hang on count to {} please", "sorry i meant count to {}",
    "wait you should count to {}",
)  # fmt: skip
HOLD_UP = ("hold on", "wait wait", "sorry but", "one second", "oh before that")

PAUSED = (
    "so what i would like to ask | is what name you go by", "could you tell me in a few words | what you can do",
    "i was just wondering | how you are doing right now", "well to be honest with you | i feel a bit low today",
    "before we go on | i want to know who made you", "the thing is that i | had a really good day",
    "you know what i | could use some help with this", "let me ask you something | are you a real person or not",
    "it is only that i | can not hear you very well", "what i still do not know | is how old you are",
    "when you have a moment | please say hello to me", "i am not quite sure | whether you can hear me now",
    "okay so first of all | thank you for all your help", "i think it is time | for me to say good night",
    "one more thing before i go | where do you live",
)  # fmt: skip
PAUSED_OPENINGS = (
    "could you find out for me |", "i would really like to know |", "let me see now | i want to ask",
    "what i need to know | is", "for my homework i have to know |",
)  # fmt: skip

BACKCHANNELS = (
    "mhm okay", "oh yeah", "right right", "uh huh okay", "yeah yeah", "ah okay", "oh nice", "got it", "mm yeah",
    "oh wow",
)  # fmt: skip
VOICED_TICS = ("ahem", "ha ha ha", "hmm", "phew")
NOISE_TICS = (
    *(f"cough {n}" for n in range(1, 8)), *(f"throat {n}" for n in range(1, 5)), *(f"sniff {n}" for n in range(1, 4)),
)  # fmt: skip
ASIDES = (
    "tom could you shut the door", "no mum dinner is at seven", "sorry darling i am on the phone",
    "anna your keys are on the table", "put it down over there thanks", "can one of you feed the dog",
    "yes i will be there in a minute dad", "hey kids not so loud", "leave the parcel by the stairs",
    "paul did you lock the car", "emma take your shoes off first", "no the other box grandpa",
)  # fmt: skip
BROADCASTS = (
    "and now the traffic news for the north", "the market closed a little higher today",
    "flights to oslo board at gate nine", "our next guest has written a cook book",
    "rain is moving in from the west tonight", "the home team won by two goals last night",
    "the train to leeds leaves from platform four", "this week everything is half price",
)  # fmt: skip

STORIES: tuple[tuple[str, ...], ...] = tuple(
    tuple(sentence.strip() for sentence in story.split(";"))
    for story in """
last summer we drove all the way down to the lake; the car broke down right in the middle of the woods; a farmer pulled us out with his old tractor; and in the end he even gave us supper
my neighbour bought a parrot from a man at the market; it only ever says one word and that is potato; now her children say potato all day long; yesterday the postman said it as well
i started to learn the violin in the spring; my teacher is a very patient old lady; the first song took me almost three months; my dog leaves the room when i begin
on monday i lost my wallet somewhere in town; i walked the whole way back looking at the ground; the woman in the bakery had kept it for me; so i bought a huge cake there
we are painting the kitchen at the moment; first it was going to be a light green; then my brother brought home the wrong tin; and now we live in an orange room
when i was small we had a boat on the river; my grandfather had built it with his own hands; one night it floated away in a storm; they found it twenty miles down the stream
there is a new girl in our team at work; she comes from a little island in the north; she says that her winters there are dark for weeks; so she thinks our weather is wonderful
i tried to bake a loaf for my sister; i used salt where it should have been sugar; nobody at the table said a single word; then my nephew began to laugh so loud
last night the lights went out in our street; we lit candles and played cards until late; the children thought it was the best evening ever; they want us to do it every week
i have been running every morning since may; at first i could hardly get around the block; now i can go right around the park; next month i will try my first real race
the cat got stuck on the roof on sunday; we put up a ladder but she only climbed higher; in the end i opened a tin of fish; she was down before i had found a plate
my daughter wants to be an astronaut; she built a rocket out of cardboard boxes; it fills nearly half of our living room; every evening we all have to count down
i took the early train to see my aunt; somebody had left a whole suitcase on my seat; it turned out to be full of letters; they belonged to a writer who was asleep next door
we went to pick mushrooms in the hills; the fog was so thick that we lost the path; after an hour we heard a cow bell; it led us straight to a tiny inn
our school is putting on a play this year; my son is going to be the third tree; he has no words to say at all; still he practises in front of the mirror
i found an old camera in the attic; there was still a film inside it; the shop could save only four pictures; on one of them are my parents dancing
""".strip().splitlines()
)

TIMER_WORDS = ("banana", "window", "lemon", "tiger", "pepper", "rocket", "garden", "silver", "button", "pillow")
NUMBER_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
TIMERS = (
    "say the word {word} after {n} seconds", "when {n} seconds have gone by say {word}",
    "wait {n} seconds and then say {word}", "exactly {n} seconds from now say {word}",
)  # fmt: skip
HOW_LONG = ("how many seconds was i silent just now", "how many seconds did that pause last")
WATCH_THE_CLOCK = ("now i will be quiet for a while", "i shall say nothing for a bit")
EVERY = ("say {word} every {n} seconds until i stop you", "please say {word} once every {n} seconds")

# cue: (what to do, [(monologue with the cue between bars, what must be said)])
CUES: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "whenever i name a fruit you say fruit",
        (
            ("in the morning we walked to the market and i bought an |apple| before we went on to see the old church by the river", "fruit"),
            ("she packed a towel and some water and a small |banana| because the walk up to the castle takes about two hours", "fruit"),
            ("there was nothing left in the kitchen but a |pear| so we all got dressed again and went to the little place on the corner", "fruit"),
        ),
    ),
    (
        "each time i mention an animal say animal",
        (
            ("on our way to the station we saw a |horse| standing all alone in the middle of the road with nobody anywhere near it", "animal"),
            ("the gate had been left open and a |goat| was walking through the garden as if it had lived there all its life", "animal"),
            ("my room was too small for a |dog| so i had to wait until i had a house of my own with a bit of grass behind it", "animal"),
        ),
    ),
    (
        "if you hear a colour say it in spanish at once",
        (
            ("we turned left at the |red| house and then followed the narrow path along the wall until we could hear the sea", "rojo"),
            ("her new coat is |blue| and it has such long sleeves that she can not find her own hands when it gets cold", "azul"),
            ("they gave us a |green| ticket and told us to wait over there until somebody would come and call out our names", "verde"),
        ),
    ),
    (
        "call out stop as soon as i say the word seven",
        (
            ("one two three four five six |seven| eight nine ten eleven twelve and so on until we get to the very end of it", "stop"),
            ("they have two cars and three bikes and |seven| cats and i have never seen a single one of them outside of the house", "stop"),
            ("the bus leaves at ten past |seven| and it takes a good half hour so i should be with you well before the film begins", "stop"),
        ),
    ),
    (
        "tell me um every time i say um",
        (
            ("we always go and visit my aunt |um| on the weekend because that is when the roads are nice and empty", "um"),
            ("the letter came from a firm |um| in the south but nobody here has ever ordered anything from a place like that", "um"),
            ("he said that he would call me |um| after the weekend but i have waited by the phone and heard nothing at all", "um"),
        ),
    ),
    (
        "say the capital when i name a country",
        (
            ("my brother moved to |france| a few years ago and he says that the bread alone was well worth the long drive", "paris"),
            ("she grew up in |italy| and came here when she was twelve without knowing a single word of our language", "rome"),
            ("we spent a whole month in |spain| with nothing but two bags and a tent that let in every drop of rain", "madrid"),
        ),
    ),
    (
        "count for me each time you hear the word green",
        (
            ("there was a |green| bottle hanging on the wall and for a very long time nobody could say who had put it there", "one"),
            ("he drives a |green| van with a picture of a fish on it and comes by our street every other friday morning", "one"),
            ("over the hill there is a |green| gate and if you go through it you can walk for hours without meeting anyone", "one"),
        ),
    ),
    (
        "warn me with careful whenever i talk about money",
        (
            ("so we sat down and he asked me for |money| right there in front of everyone and i did not know where to look", "careful"),
            ("they wanted more |money| for the roof than for the rest of the house and so we are going to do it all ourselves", "careful"),
            ("i always keep some |money| in the blue tin behind the flour because you never know when the power will go out", "careful"),
        ),
    ),
)  # fmt: skip

COUNT_MOVES = (
    "count out loud how often the man jumps", "each time the figure jumps tell me how many that makes",
    "keep a running count of the jumps that you see", "how many jumps do you see please count along",
)  # fmt: skip
WATCH_FOR = (
    "let me know the moment a {colour} ball shows up", "shout {colour} when you see a {colour} ball",
    "warn me with {colour} if a {colour} ball comes in", "say {colour} once the {colour} ball is there",
)  # fmt: skip
WATCH_MOVES = (
    "say start when the wheel begins to turn and stop when it rests",
    "tell me start and stop as the wheel starts and stops turning",
    "watch the wheel and say start or stop whenever that changes",
    "i need you to say start when the wheel moves and stop when it does not",
)  # fmt: skip

NEVER_MIND = (
    "oh never mind then", "actually you can drop that", "leave it i found it myself", "forget what i asked you",
    "no need to look it up any more",
)  # fmt: skip
