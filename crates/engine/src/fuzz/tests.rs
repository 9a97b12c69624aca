//! The targets without a fuzzer.

use super::random::explore;

#[test]
fn json() {
    let seeds = [
        "",
        "{}",
        "\u{feff}[1]",
        "{\"a\": x}",
        "[1,\n2",
        "\"\u{1}\"",
        "\0\0",
        "tru",
        "-",
        "--",
        "1.e",
        "{\"ü\" 1}",
        "{\"a\":{\"a\":[1,\"\\u00e4\\\\\"]},\"\":[true,null,-1.5e+10]}",
        "[{\"a\": 1}, {\"a\":\"\\ud83d\\ude00\"}]\n",
    ];
    let mut seeds: Vec<Vec<u8>> = seeds.map(|text| text.as_bytes().to_vec()).to_vec();
    seeds.push(b"[\xff]".to_vec());
    let words =
        ["\"a\"", ":", ",", "{", "}", "[", "]", "\\u", "\\", "null", "1e9", " ", "\n", "\u{feff}", "ü"];
    explore("json", seeds, &words.map(str::as_bytes), super::json);
}

#[test]
fn numbers() {
    let seeds = (0..2000_u32).map(|seed| {
        (0..seed % 60).map(|at| (seed.wrapping_mul(2_654_435_761) >> (at % 24)) as u8 ^ at as u8).collect()
    });
    // In the alphabet of the target: 22 is the point, 24 an e, 27 a minus, 28 a comma, 31 a quotation mark.
    let words: [&[u8]; 5] =
        [&[9, 0, 0, 7, 1, 9, 9, 2, 5, 4, 7, 4, 0, 9, 9, 3], &[22], &[24, 3, 0, 9], &[27], &[28]];
    explore("numbers", seeds.collect(), &words, super::numbers);
}

#[test]
fn journal() {
    // One removal, of a file whose times are as far away as a journal can say.
    let mut payload = vec![1, 1 | 4, 0, 0, 1, 0, b'a', 0, 0];
    payload.extend([0xff; 32]);
    payload.extend([0xff; 16]);
    payload.extend([[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]; 4].concat());
    payload.extend([0; 16]);
    let words: [&[u8]; 6] = [b"a", b"..", b"/", &[0; 8], &[0xff; 8], &[1, 0]];
    explore("journal", vec![Vec::new(), vec![0; 200], payload], &words, super::journal);
}
