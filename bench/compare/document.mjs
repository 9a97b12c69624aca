// What is written, so that a reader can tell whether it is whole and which version it is.

const RECORD = 8 * 1024

/** About so many bytes of JSON, each record of which names the version. */
export function makeDocument(/** @type {number} */ version, /** @type {number} */ bytes) {
  const records = Array.from({ length: Math.ceil(bytes / RECORD) }, () => recordOf(version))
  return { version, count: records.length, records }
}

/** The version of a text that is a whole document, else `undefined`. @returns {number | undefined} */
export function versionOf(/** @type {string} */ text) {
  try {
    const { version, count, records } = JSON.parse(text)
    const whole =
      records.length === count && records.every((/** @type {string} */ one) => one === recordOf(version))
    return whole ? version : undefined
  } catch {
    return undefined
  }
}

function recordOf(/** @type {number} */ version) {
  const word = `version ${version} `
  return word.repeat(Math.ceil(RECORD / word.length)).slice(0, RECORD)
}
