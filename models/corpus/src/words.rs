//! Words that are never rendered, and those that are.

use crate::same::hash;

/// Words of the evaluated sets, speech_commands and fsdd, and English words that sound like one.
/// Whatever the accuracy tables say of them has to be about words that the network never heard.
const EVALUATED: &str = "\
    yes no up down left right on off stop go \
    zero one two three four five six seven eight nine \
    know write rite wright won to too for fore ate oh";

/// The same words in the other languages that are rendered.
const TRANSLATED: &str = "\
    ja nein hoch auf runter ab unter links rechts an aus ein halt stopp los geh \
    null eins zwei drei vier fünf sechs sieben acht neun \
    sí si arriba abajo izquierda derecha encendido apagado alto para ve \
    cero uno una un dos tres cuatro cinco seis siete ocho nueve \
    oui non haut bas gauche droite droit marche arrêt arrête va allez \
    zéro deux trois quatre cinq sept huit neuf \
    sì su giù sinistra destra acceso spento ferma vai \
    due tre quattro cinque sei sette otto nove \
    sim não cima baixo esquerda direita ligado desligado pare vá vai \
    dois duas três quatro oito um uma \
    nee op neer omhoog omlaag rechtsaf aan uit ga \
    nul een één twee drie vijf zes zeven negen \
    nej upp ner ned vänster höger på av stopp gå noll ett två fyra fem sex sju åtta nio \
    op ned venstre højre til fra stop nul en et to fire fem seks syv otte ni \
    så góra dół lewo prawo włącz wyłącz tak nie stój idź jeden dwa trzy cztery pięć sześć siedem osiem dziewięć \
    так ні вгору вниз ліворуч праворуч стоп іди нуль один два три чотири шість сім вісім дев'ять";

/// Whether `word` is one of those that the evaluated sets are of. Words of all languages are left
/// out of every language: most are short and sound alike in several.
pub fn is_evaluated(word: &str) -> bool {
    let word = word.to_lowercase();
    EVALUATED
        .split_whitespace()
        .chain(TRANSLATED.split_whitespace())
        .any(|evaluated| evaluated == word)
}

/// Chooses `count` words of `dictionary`, a word a line, for `language`.
///
/// They are of 3 to 10 letters, none of [`is_evaluated`], and in an order that only the words
/// decide: a longer list begins with the shorter one.
pub fn choose(dictionary: &str, language: &str, count: usize) -> Vec<String> {
    let mut words: Vec<String> = dictionary
        .lines()
        .map(str::trim)
        .filter(|word| (3..=10).contains(&word.chars().count()))
        .filter(|word| word.chars().all(char::is_alphabetic))
        // German writes nouns with a capital, others only names; all capitals is an abbreviation.
        .filter(|word| {
            let capitals = word.chars().filter(|c| c.is_uppercase()).count();
            capitals <= usize::from(language == "de" && word.starts_with(char::is_uppercase))
        })
        // Without a vowel it is an abbreviation, too.
        .filter(|word| word.to_lowercase().contains(VOWELS))
        .map(str::to_lowercase)
        .filter(|word| !is_evaluated(word))
        .collect();
    words.sort();
    words.dedup();
    words.sort_by_cached_key(|word| hash(&format!("{language} {word}")));
    words.truncate(count);
    words
}

const VOWELS: [char; 55] = [
    'a', 'e', 'i', 'o', 'u', 'y', 'á', 'à', 'â', 'ä', 'ã', 'å', 'æ', 'é', 'è', 'ê', 'ë', 'í', 'ì',
    'î', 'ï', 'ó', 'ò', 'ô', 'ö', 'õ', 'ø', 'œ', 'ú', 'ù', 'û', 'ü', 'ý', 'ÿ', 'ą', 'ę', 'ő', 'ű',
    'ě', 'ů', 'а', 'е', 'є', 'и', 'і', 'ї', 'о', 'у', 'ю', 'я', 'ы', 'э', 'ё', 'ā', 'ī',
];

#[cfg(test)]
mod tests {
    use super::*;

    const DICTIONARY: &str = "Aachen\napple\napple's\nNASA\nnine\nNine\nstop\nhat\nGoes\nzebra\n\
                              ab\nqwrt\nunbelievably\nsinging\n  house \nright\n";

    #[test]
    fn words_are_chosen_by_themselves_and_none_is_evaluated() {
        let all = choose(DICTIONARY, "en", 100);
        let mut sorted = all.clone();
        sorted.sort();
        assert_eq!(sorted, ["apple", "hat", "house", "singing", "zebra"]);
        assert_eq!(choose(DICTIONARY, "en", 3), all[..3]);
        assert_ne!(choose(DICTIONARY, "fr", 5), all);
        let german = choose(DICTIONARY, "de", 100);
        assert!(german.contains(&"aachen".to_owned()) && !german.contains(&"nasa".to_owned()));
    }

    #[test]
    fn every_evaluated_word_is_left_out() {
        // The folders of the two sets, speech_commands and fsdd.
        for word in "yes no up down left right on off stop go".split(' ') {
            assert!(is_evaluated(word), "{word}");
        }
        for word in "zero one two three four five six seven eight nine".split(' ') {
            assert!(is_evaluated(word) && is_evaluated(&word.to_uppercase()));
        }
        for word in ["sieben", "cinq", "Sí", "två", "destra"] {
            assert!(is_evaluated(word), "{word}");
        }
        assert!(!is_evaluated("eleven"));
    }
}
