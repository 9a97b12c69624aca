// What emulators lack: checks that may fail there, each with one error. What the platform itself has is not given up for that.

/** What came of one thing tried: an empty problem is none. @typedef {{ name: string, problem: string, code?: string, by?: string }} Check */

/**
 * By the name of the check that finds it so, the error's code and why. Any other error, such as that of an assertion, is a failure.
 *
 * @type {Record<string, { code: string, why: string }>}
 */
const GAPS_OF_WINE = {
  'a file that is read by another handle': {
    code: 'EBUSY',
    why: 'Wine 8 has no rename with POSIX semantics, so a file that is open is not replaced',
  },
  'a path of 400 characters': {
    code: 'EIO',
    why: 'opening it is EIO there; on Windows it was not tried',
  },
  'sys::windows::held::tests::a_path_longer_than_260_characters_is_opened': {
    code: '234',
    why: 'opening it is ERROR_MORE_DATA there; on Windows it was not tried',
  },
  'transaction::away::tests::what_takes_the_place_of_a_file_between_two_looks_is_not_what_was_moved': {
    code: '5',
    why: 'it renames over a file that is open, as above',
  },
}

/** Why a check may fail as it did; `undefined`: it may not. */
export function gapOf(/** @type {Check} */ { name, problem, code, by }) {
  if (!problem || by !== 'Wine' || !Object.hasOwn(GAPS_OF_WINE, name)) return undefined
  const gap = GAPS_OF_WINE[name]
  return gap?.code === code ? gap?.why : undefined
}
