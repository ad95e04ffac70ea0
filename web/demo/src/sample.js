// What the page shows at first. Written for it.

export const SAMPLE_QUERIES = [
  "how do bees find their way home?",
  "why is the sky blue?",
  "what causes thunder?",
  "how does rain form?",
];

export const SAMPLE_DOCUMENTS = [
  "For the sky, lay down a pale blue wash first. While it is still wet, add a darker blue along the top edge.",
  "Sunlight holds every colour. Molecules of air scatter its short wavelengths far more than the long ones, so the heavens look blue wherever we turn, while red passes almost straight through.",
  "At dusk the light crosses much more air before it reaches us. Most of the blue has been scattered away by then, and reds and oranges are what is left.",
  "The sky over the coast was blue all week, and the blue boats of the regatta stayed out until evening.",
  "Snow looks white because its many ice crystals reflect all colours of light about equally.",
  "A stroke of lightning heats the air in its path to about 30,000 °C within microseconds. The air expands violently, and the shock wave reaches us as a rumble or a crack: thunder.",
  "Thunder and lightning kept the children awake; thunder, wrote one of them, is what the sky says when it is cross.",
  "Count the seconds between flash and thunder and divide by three: that is roughly how many kilometres away the storm is.",
  "Honeybees carry a map of their surroundings. They steer by the position of the sun, by polarised light, and by landmarks near the hive.",
  "A lost brooch in the shape of a bee was found on the way to the station. Its owner can find it at the home for the elderly in Mill Lane.",
  "Beekeepers find that most colonies come through the winter if each has about twenty kilograms of honey.",
  "Migrating birds sense the magnetic field of the Earth and combine it with the stars to hold their course at night.",
  "A cloud begins as droplets so small that they float. They grow by colliding until they are heavy enough to fall as rain.",
  "To order a rain barrel, hand in the form at the town hall. The form for gutters is a separate one.",
  "Fog is a cloud that touches the ground. It forms when moist air cools until the vapour in it condenses.",
  "Leaves turn yellow in autumn when the tree takes back its chlorophyll and pigments that were always there become visible.",
];
