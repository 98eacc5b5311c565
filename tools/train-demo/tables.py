"""Plain public facts, typed in by us, and words to fill sentences with."""

CAPITALS = dict(line.split(": ") for line in """
Afghanistan: Kabul|Albania: Tirana|Algeria: Algiers|Angola: Luanda|Argentina: Buenos Aires|Armenia: Yerevan
Australia: Canberra|Austria: Vienna|Azerbaijan: Baku|Bahrain: Manama|Bangladesh: Dhaka|Barbados: Bridgetown
Belarus: Minsk|Belgium: Brussels|Belize: Belmopan|Bhutan: Thimphu|Botswana: Gaborone|Brazil: Brasilia
Bulgaria: Sofia|Burkina Faso: Ouagadougou|Cambodia: Phnom Penh|Cameroon: Yaounde|Canada: Ottawa|Chad: N'Djamena
Chile: Santiago|China: Beijing|Colombia: Bogota|Costa Rica: San Jose|Croatia: Zagreb|Cuba: Havana|Cyprus: Nicosia
Denmark: Copenhagen|Djibouti: Djibouti|Ecuador: Quito|Egypt: Cairo|El Salvador: San Salvador|Eritrea: Asmara
Estonia: Tallinn|Ethiopia: Addis Ababa|Fiji: Suva|Finland: Helsinki|France: Paris|Gabon: Libreville|Georgia: Tbilisi
Germany: Berlin|Ghana: Accra|Greece: Athens|Guatemala: Guatemala City|Guinea: Conakry|Guyana: Georgetown
Haiti: Port-au-Prince|Honduras: Tegucigalpa|Hungary: Budapest|Iceland: Reykjavik|India: New Delhi|Indonesia: Jakarta
Iran: Tehran|Iraq: Baghdad|Ireland: Dublin|Italy: Rome|Jamaica: Kingston|Japan: Tokyo|Jordan: Amman
Kazakhstan: Astana|Kenya: Nairobi|Kuwait: Kuwait City|Kyrgyzstan: Bishkek|Laos: Vientiane|Latvia: Riga|Lebanon: Beirut
Liberia: Monrovia|Libya: Tripoli|Lithuania: Vilnius|Luxembourg: Luxembourg|Madagascar: Antananarivo|Malawi: Lilongwe
Malaysia: Kuala Lumpur|Mali: Bamako|Malta: Valletta|Mauritania: Nouakchott|Mexico: Mexico City|Moldova: Chisinau
Mongolia: Ulaanbaatar|Montenegro: Podgorica|Morocco: Rabat|Mozambique: Maputo|Namibia: Windhoek|Nepal: Kathmandu
the Netherlands: Amsterdam|New Zealand: Wellington|Nicaragua: Managua|Niger: Niamey|Nigeria: Abuja|Norway: Oslo
Oman: Muscat|Pakistan: Islamabad|Panama: Panama City|Paraguay: Asuncion|Peru: Lima|the Philippines: Manila
Poland: Warsaw|Portugal: Lisbon|Qatar: Doha|Romania: Bucharest|Russia: Moscow|Rwanda: Kigali|Saudi Arabia: Riyadh
Senegal: Dakar|Serbia: Belgrade|Sierra Leone: Freetown|Singapore: Singapore|Slovakia: Bratislava|Slovenia: Ljubljana
Somalia: Mogadishu|South Korea: Seoul|Spain: Madrid|Sudan: Khartoum|Sweden: Stockholm|Switzerland: Bern|Syria: Damascus
Tajikistan: Dushanbe|Thailand: Bangkok|Togo: Lome|Tunisia: Tunis|Turkey: Ankara|Turkmenistan: Ashgabat|Uganda: Kampala
Ukraine: Kyiv|the United Kingdom: London|the United States: Washington|Uruguay: Montevideo|Uzbekistan: Tashkent
Venezuela: Caracas|Vietnam: Hanoi|Yemen: Sana'a|Zambia: Lusaka|Zimbabwe: Harare
""".strip().replace("|", "\n").split("\n"))

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

# from, to, how many of the second make one of the first
UNITS = [("meters", "centimeters", 100), ("kilometers", "meters", 1000), ("hours", "minutes", 60),
         ("minutes", "seconds", 60), ("days", "hours", 24), ("weeks", "days", 7), ("years", "months", 12),
         ("kilograms", "grams", 1000), ("liters", "milliliters", 1000), ("centimeters", "millimeters", 10),
         ("dozens", "pieces", 12), ("feet", "inches", 12), ("yards", "feet", 3)]

DEFINITIONS = dict(line.split(": ") for line in """
atom: the smallest part of a chemical element|bridge: a way built over a river or a road
calendar: a table of the days, weeks and months of a year|canal: a water way made by people
cloud: many small drops of water in the air|compass: a tool that shows where north is
compiler: a program that turns source code into machine code|computer: a machine that follows a program
continent: one of the large land areas of the earth|database: an ordered collection of data
desert: a dry place where little grows|dictionary: a book that explains words
dolphin: a clever animal that lives in the sea|earthquake: a sudden shaking of the ground
engine: a machine that makes something move|equator: the line around the middle of the earth
forest: a large area with many trees|galaxy: a very large group of stars
glacier: a slow river of ice|gravity: the force that pulls things to the ground
harbor: a safe place for ships|horizon: the line where earth and sky seem to meet
iceberg: a large piece of ice in the sea|island: land with water on all sides
keyboard: a set of keys to write with|lake: water with land on all sides
library: a place where books are kept|lightning: a bright flash of electricity in the sky
magnet: a thing that attracts iron|map: a drawing of a place seen from above
molecule: a group of atoms that hold together|mountain: land that rises high above the rest
museum: a house where old and fine things are shown|ocean: a very large area of salt water
orbit: the path of one body around another|oxygen: the gas in the air that we need to breathe
peninsula: land with water on three sides|planet: a large body that moves around a star
poem: a text in verses|prime number: a number that only one and itself divide
rainbow: an arc of colors made by sun and rain|river: water that flows to a lake or the sea
satellite: a body that moves around a planet|shadow: a dark place that light does not reach
star: a large hot body that gives light|telescope: a tool to see things that are far away
tide: the rise and fall of the sea|token: a piece of text that a model reads at once
triangle: a shape with three sides|valley: low land between mountains
vitamin: something in food that the body needs a little of|volcano: a mountain that throws out hot rock
wheel: a round thing that turns so that other things move|wind: air that moves
""".strip().replace("|", "\n").split("\n"))

# single tokens of the small vocabulary: keys and values of lists
THINGS = """apple bag ball banana basket bed bell bird boat book bottle box bread brush bucket butter button cake camera
candle car card carpet chair cheese clock coat coin cup desk dog door drum egg fish flag flower fork glass glove guitar
hammer hat horse house jacket kettle key kite knife ladder lamp leaf lemon letter lion map mirror mouse needle nest
onion orange oven paper pen pencil piano pillow plate pot potato radio ring rope rose ruler salt scarf ship shirt shoe
soap sock sofa spoon stone stove sugar table tent ticket tiger towel toy train tree trumpet umbrella vase violin wagon
wallet watch window wolf""".split()
COLORS = "red blue green yellow white black brown pink gray purple silver golden".split()

# words to spell and to turn round; every fifth is kept for the tests
WORDS = """able acid aged also area army away baby back band bank base bath bear beat bell belt best bird blow blue boat
body bold bolt bone born both bowl bulk burn bush busy cage calm camp card care cart case cash cast cave cell chat chip
city clay clip club coal coat code cold come cook cool copy core corn cost crab crew crop dark data dawn deal dear debt
deep deer desk dial diet dirt dish dock dome dose down draw drop drum dust duty each earn east easy edge else even ever
exam face fact fair fall farm fast fate fear feed feel file film find fine fire firm flat flow folk food foot form fort
free frog fuel full fund gain game gate gift girl give glad goal goat gold golf good gray grow gulf hair half hall hand
hang hard harm have head hear heat help herb hero hill hint hire hold hole home hope horn host hour huge hunt idea inch
iron item jazz join joke jump jury just keen keep kick kind king knee know lace lack lady lake lamb land lane last late
lawn lead lean left lend less life lift like limb line link list live load loan lock long look loop lord lose loud love
luck lung made mail main make many mark mask meal mean meat meet melt menu mild milk mill mind mine mint miss mode mood
moon more most move much must myth name navy near neat neck need news next nice node none noon nose note oath obey odds
once only open oval pace pack page paid pain pair palm park part pass past path peak pear pick pile pine pink pipe plan
play plot plum poem poet pole pond pool poor port post pull pure push quit race rain rank rate read real rest rice rich
ride rise risk road rock role roof room root rope rude rule rush safe sail salt same sand save seal seat seed seek sell
send ship shop shot show side sign silk sing size skin slow snow soft soil solo song soon sort soul soup spin spot star
stay stem step stop such suit sure swim tail take tale talk tall tank tape task team tell term test than that them then
they thin this tide tile time tiny tone tool tour town trap tree trip true tube tune turn twin type unit upon used vast
verb very vest view vote wage wait wake walk wall want warm wash wave weak wear week well west what when wide wild will
wind wine wing wire wise wish with wolf wood word work yard year zero zone
actor admit adult agent alarm album alert alive angle ankle apple april arena argue armor arrow asset audio award bacon
badge baker basic beach begin below bench berry birth black blade blank blaze blend block bloom board bonus brain brand
brave bread brick brief bring broad brown brush build cabin cable camel candy cargo carry chain chalk charm chart chase
cheap check chess chest chief child choir civic claim clean clear clerk click cliff climb clock cloth cloud coach coast
color coral couch count court cover craft cream crowd crown cycle daily dance delay depth diary doubt dozen draft drain
drama dream dress drink drive eagle early earth eight elbow empty enemy enjoy enter equal error event every exact extra
fable faith fancy fault fence fever field fifty final flame flash fleet floor flour fluid focus force frame fresh front
frost fruit ghost giant glass globe glory grade grain grand grape graph grass great green greet group guard guess guest
guide habit happy harsh heart heavy hello hobby honey honor hotel house human humor image index inner input ivory jelly
jewel joint judge juice knife label labor large laser laugh layer learn lemon level light limit local logic lucky lunch
magic major maple march match maybe mayor medal melon metal minor model money month moral motor mount mouse mouth movie
music nerve never night noble noise north novel nurse ocean offer often olive onion orbit order organ other outer owner
paint panel paper party patch peace pearl phone photo piano piece pilot pitch pizza place plain plane plant plate point
polar pound power press price pride print prize proof proud pupil queen quick quiet radar radio raise range rapid ratio
reach ready reply right river robot rocky rough round route royal rural salad sauce scale scene scope score sense serve
seven shade shake shape share sharp sheep sheet shelf shell shift shine shirt shoes shore short sight skill sleep slice
slope small smart smile smoke snake solar solid solve sound south space spare speak speed spend spice spoon sport stage
stand start state steam steel stick still stock stone store storm story sugar sunny sweet swing table taste teach thank
theme thick thing think third tiger title today tooth topic total touch tower track trade train treat trend truck trust
truth uncle under union until upper urban usual value video visit vital voice waste watch water wheel where while white
whole woman world worry worth write wrong young youth
animal answer artist autumn basket beauty become before bottle bridge bright budget button camera carbon career carpet
castle center chance change church circle coffee column copper corner cotton county course create custom damage danger
decide degree desert design detail dinner doctor dollar double dragon driver easily editor effect effort empire energy
engine enough expert fabric family famous farmer father figure finger finish flight flower forest formal friend future
garden gentle ground growth guitar hammer handle harbor health hidden honest hunger impact income insect island jacket
jungle kitten ladder lawyer leader legend length lesson letter listen little living luxury magnet manner marble margin
market master matter meadow member memory method middle minute mirror modern moment mother motion murmur museum narrow
nation nature needle nephew normal number object orange origin oxygen palace parent pepper period person planet player
pocket poetry police potato powder prince profit public puzzle rabbit random reason record region remote rescue result
ribbon rocket sample school screen search season second secret settle shadow signal silver simple sister smooth social
source speech spirit spring square stable statue strong studio summer supper supply switch symbol system talent target
temple theory throne ticket timber travel tunnel turtle valley velvet victim vision volume walnut weapon wealth window
winter wisdom wonder yellow""".split()

NAMES = "Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Maria Noah Olga Paul Rosa Sam Tina Victor".split()
PLACES = "market river station garden school harbor forest castle library bridge museum village lake tower".split()
ADJECTIVES = "old young tall quiet happy tired busy clever small kind".split()
PEOPLE = "farmer teacher baker doctor sailor painter student driver singer gardener".split()
VERBS = ["walked to", "came from", "waited near", "talked about", "looked at", "painted", "passed", "wrote about",
         "dreamed of", "returned to"]
WHEN = ["in the morning", "at noon", "in the evening", "at night", "on Sunday", "after the rain", "before lunch",
        "last summer", "in winter", "every day"]
OBJECTS = "tower gate cellar chest garden vault cabin shop mill barn office attic".split()
