#include "train/stories.h"

/* What one story remembers:
 *   h, f   hero and friend (never the same)        k, g   what creatures they are
 *   p      the place                               o      the thing wished for: its class picks plot and moral
 *   w      what it is wished for: its class picks the end
 *   t, u   where the thing is, who keeps it, what it takes; a, b the tries
 * Whatever is chosen is also told, so that a story has one derivation and its information is exact.
 */
#define RULE(name, fields, ...) {name, fields, (const char *const[]){__VA_ARGS__, NULL}}
#define TEXT(name, ...) RULE(name, NULL, __VA_ARGS__)
#define MAN(name) name ";he;him;his;man"
#define WOMAN(name) name ";she;her;her;woman"

const char lm_stories_start[] = "story";

const lm_grammar_rule lm_stories_rules[] = {
    TEXT("story", "<h=person><f=person!h><k=kind_*h.sex><g=kind_*f.sex><p=place><o=thing><w=use>"
                  "<opening> <weather><wish> <plot_*o.class> <end_*w.class> <moral_*o.class><friends>"),

    /* Who and where */
    RULE("person", "name he him his sex", MAN("Tom"), MAN("Ben"), MAN("Sam"), MAN("Max"), MAN("Leo"), MAN("Finn"),
         MAN("Hugo"), MAN("Oscar"), MAN("Jack"), MAN("Theo"), MAN("Otto"), MAN("Milo"), WOMAN("Lily"), WOMAN("Mia"),
         WOMAN("Anna"), WOMAN("Rosa"), WOMAN("Ella"), WOMAN("Nora"), WOMAN("Ruby"), WOMAN("Ivy"), WOMAN("Clara"),
         WOMAN("Zoe"), WOMAN("Emma"), WOMAN("Alma")),
    RULE("kind_man", "word", "boy", "rabbit", "fox", "bear", "mouse", "hedgehog", "otter", "duck"),
    RULE("kind_woman", "word", "girl", "rabbit", "fox", "bear", "mouse", "hedgehog", "otter", "duck"),
    TEXT("nature", "little", "brave", "kind", "clever", "shy", "cheerful", "young", "quiet", "curious", "gentle"),
    RULE("place", "at along", "in a small village by the sea;along the beach", "on a farm near the hills;across the fields",
         "at the edge of a deep forest;among the trees", "in an old town with narrow streets;through the streets",
         "in a green valley;down the valley", "beside a wide river;along the river", "on a windy island;over the dunes",
         "in a house on the mountain;up the mountain path"),
    TEXT("opening", "<once> there was a(n) <nature> <k.word> named <h.name>. <h.he> lived <p.at>.",
         "<once> a(n) <nature> <k.word> lived <p.at>. <h.his> name was <h.name>.",
         "<h.name> was a(n) <nature> <k.word> who lived <p.at>."),
    TEXT("once", "once upon a time", "long ago", "one spring", "one summer", "in a year of much snow"),
    TEXT("weather", "", "one morning the sun was shining. ", "it had rained all night. ", "the wind was cold that day. ",
         "it was the first warm day of the year. ", "the air smelled of flowers. ", "fog lay over everything. "),

    /* What is wished for, and why. Class of a thing: high up, hidden, kept by somebody, still to be made. */
    RULE("thing", "name class kit", "red kite;high", "ripe apple;high", "golden feather;high", "blue balloon;high",
         "sweet pear;high", "silver key;hidden", "wooden flute;hidden", "gold ring;hidden", "little drum;hidden",
         "purple shell;hidden", "jar of honey;kept", "old lantern;kept", "brass bell;kept", "picture book;kept",
         "ball of yarn;kept", "small boat;made;wood", "bird house;made;wood", "swing;made;wood",
         "warm blanket;made;cloth", "woolen hat;made;cloth", "pot of soup;made;food", "berry cake;made;food"),
    RULE("use", "for class", "grandmother;gift", "mother;gift", "little brother;gift", "teacher;gift", "summer fair;show",
         "harvest market;show", "birthday party;show", "felt lonely when it rained;own", "had never owned anything so fine;own",
         "had seen one in a dream;own"),
    TEXT("wish", "<h.name> wanted a(n) <o.name> <why_*w.class>.",
         "more than anything <h.name> wished for a(n) <o.name> <why_*w.class>.",
         "for weeks <h.name> had dreamed of a(n) <o.name> <why_*w.class>."),
    TEXT("why_gift", "to give to <h.his> <w.for>", "because the <w.for> who loved <h.him> was ill",
         "to make <h.his> <w.for> happy"),
    TEXT("why_show", "for the <w.for>", "to take along to the <w.for>"),
    TEXT("why_own", "because <h.he> <w.for>"),

    /* High up: two tries fail, the friend has the means. */
    TEXT("plot_high", "<t=perch><a=try><b=try!a><u=tool>there was one <t.at>, but nobody could reach it. "
                      "first <h.he> <a.did>, but <a.failed>. then <h.he> <b.did>, but <b.failed>. <sad> <meet> "
                      "<f.he> fetched a(n) <u.name> and <u.used>, and <at_last> the <o.name> came <t.from>."),
    RULE("perch", "at from", "in the top of a tree;down from the tree", "on the roof of the barn;down from the roof",
         "on a high wall;down from the wall", "on a rock in the water;back from the rock",
         "on the tallest shelf of the mill;down from the shelf"),
    RULE("try", "did failed", "jumped with both legs;it was much too far", "threw a stick;the stick missed",
         "climbed on a barrel;the barrel rolled away", "called to the birds;the birds only sang",
         "stacked three boxes;the boxes fell over", "waited for the wind;the wind did not help"),
    RULE("tool", "name used", "ladder;held it while <h.name> climbed", "long pole;lifted it carefully",
         "strong rope;threw it twice", "fishing net;swung it once", "wagon;pushed it close so that <h.name> could stand on it"),

    /* Hidden: two searches find the wrong thing, the friend has seen something. */
    TEXT("plot_hidden", "<t=spot><a=spot!t><u=junk>people said that one was hidden somewhere. <h.he> walked <p.along> and looked "
                        "<a.where>, but found only <u.what>. <sad> <meet> <hint> \"look <t.where>!\" they ran there together, and "
                        "<at_last> <h.name> held the <o.name> in <h.his> hands."),
    RULE("spot", "where", "under the old bridge", "behind the mill", "in the tall grass", "inside a hollow log",
         "between the roots of the oak", "below the broken stairs", "at the bottom of the well", "near the scarecrow"),
    RULE("junk", "what", "a rusty nail", "an empty bottle", "a sleeping frog", "some dry leaves", "a broken cup", "three snails"),
    TEXT("hint", "<f.name> had seen something shine and said,", "<f.name> remembered an old song about it and said,",
         "<f.name> studied the footprints and said,", "<f.name> thought for a while and said,"),

    /* Kept: the keeper sets a task, or the hero takes it first and is sorry. */
    TEXT("plot_kept", "<t=keeper><u=task>only <t.who> had one. <ask> <t.he> said, \"first you must <u.order>.\" "
                      "it was hard work. <sad> <meet> side by side they <u.done>, and <at_last> <t.he> gave <h.him> the <o.name>."),
    RULE("keeper", "who he him", "the old miller;he;him", "a grumpy goat;she;her", "the baker;he;him", "a proud peacock;he;him",
         "the queen of the mice;she;her", "an owl with one eye;she;her", "the blacksmith;he;him"),
    TEXT("ask", "<h.name> went to <t.him> and asked for it politely.", "<h.name> knocked at the door and said, \"please let me have it.\"",
         "at night <h.name> took it in secret, but a dog barked and <h.he> was caught. <h.he> was ashamed and said sorry.",
         "<h.name> offered a penny for it, but <t.he> only laughed."),
    RULE("task", "order done", "sweep the whole yard;swept the whole yard", "bring me a hundred acorns;gathered a hundred acorns",
         "carry water up the hill;carried water up the hill", "mend my fence;mended the fence",
         "find my lost glasses;found the lost glasses", "paint my door green;painted the door green",
         "make me laugh;danced until everybody laughed"),

    /* Made: two materials, one failure, a better way. */
    TEXT("plot_made", "<a=stuff_*o.kit><b=stuff_*o.kit!a><u=flaw_*o.kit>nobody sold such a thing, so <h.he> decided to make it. "
                      "<h.he> found <a.what> and <b.what> and worked all day, but <u.went>. <sad> <meet> they began again, "
                      "<u.better>, and <at_last> the <o.name> was ready."),
    RULE("stuff_wood", "what", "old planks", "a bag of nails", "some straight branches", "a piece of rope", "a pot of paint"),
    RULE("stuff_cloth", "what", "soft wool", "red thread", "two long needles", "a pile of rags", "some ribbon"),
    RULE("stuff_food", "what", "a basket of mushrooms", "fresh eggs", "a cup of milk", "wild onions", "a bag of flour"),
    RULE("flaw_wood", "went better", "the wood broke in two;chose thicker wood", "it leaned to one side;measured everything twice",
         "the knots came loose;tied every knot with care"),
    RULE("flaw_cloth", "went better", "it was full of holes;made smaller stitches", "it was far too short;counted every row",
         "the color washed out;used a better dye"),
    RULE("flaw_food", "went better", "it burned black;kept the fire low", "it tasted of nothing;added a little salt",
         "half of it spilled;took a bigger bowl"),

    /* What every plot needs */
    TEXT("sad", "<h.name> sat down and cried.", "<h.name> was tired and sad.", "<h.name> almost gave up.",
         "<h.name> did not know what to do.", "<h.name> sighed and looked at the sky."),
    TEXT("meet", "then <f.name> the <g.word> came by and said, \"<offer>.\"",
         "a(n) <nature> <g.word> named <f.name> saw it and said, \"<offer>.\"",
         "just then <f.name> the <g.word> called, \"<offer>!\""),
    TEXT("offer", "let me help you", "do not give up", "two can do more than one", "I have an idea", "do not worry, my friend",
         "I know what to do"),
    TEXT("at_last", "at last", "in the end", "before sunset", "after a while"),
    TEXT("end_gift", "<h.name> gave the <o.name> to <h.his> <w.for>, who <thanks>.",
         "when <h.his> <w.for> saw the <o.name>, there were tears of joy and a long hug.",
         "that evening <h.his> <w.for> got the <o.name> and <thanks>."),
    TEXT("thanks", "laughed with joy", "hugged <h.him> for a long time", "could hardly speak", "said it was the best gift of all",
         "felt better at once"),
    TEXT("end_show", "at the <w.for> everybody admired the <o.name>.", "at the <w.for> <h.name> shared the <o.name> with all the children.",
         "the <o.name> won first prize at the <w.for>.", "at the <w.for> they talked of nothing but the <o.name>."),
    TEXT("end_own", "from then on the <o.name> stood beside the bed of <h.name>.", "<h.name> showed the <o.name> to everybody, and nobody laughed.",
         "<h.name> never let the <o.name> out of sight again.", "that night <h.name> fell asleep with a smile."),
    TEXT("moral_high", "what is too high for one is not too high for two.", "nobody grows taller by being angry.",
         "a friend is the best ladder."),
    TEXT("moral_hidden", "who looks with patience will find.", "four eyes see more than two.", "some things wait to be found."),
    TEXT("moral_kept", "honest work opens every door.", "a thing that is earned is twice as sweet.",
         "it is better to ask than to take."),
    TEXT("moral_made", "what breaks can be made again.", "good things need time.", "mistakes are good teachers."),
    TEXT("friends", "", " <h.name> and <f.name> became best friends.", " and <h.name> never forgot what <f.name> had done.",
         " the next day <h.name> helped <f.name> in return."),
};

const size_t lm_stories_n_rules = LM_COUNT_OF(lm_stories_rules);
