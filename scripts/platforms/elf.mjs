// The versions of library symbols that an ELF file needs. They decide on which systems it loads: a symbol of GLIBC_2.34 is
// missing on every system with an older glibc.

/** `SHT_GNU_verneed`: a section that lists, by library, the versions needed. */
const VERSIONS_NEEDED = 0x6ffffffe

/**
 * By library (`libc.so.6`), the names of the versions (`GLIBC_2.17`). Every supported target is 64 bits wide with
 * the least byte first.
 *
 * @returns {Record<string, string[]>}
 */
export function neededVersions(/** @type {Buffer} */ file) {
  if (file.readUInt32BE(0) !== 0x7f454c46) throw new Error('This is no ELF file.')
  if (file[4] !== 2 || file[5] !== 1) throw new Error('This ELF file is not of 64 bits, least byte first.')
  const sections = readSections(file)
  /** @type {Record<string, string[]>} */
  const needed = {}
  for (const { type, offset, link, count } of sections) {
    if (type !== VERSIONS_NEEDED) continue
    const strings = sections[link]?.offset ?? 0
    const name = (/** @type {number} */ at) =>
      file.toString('latin1', strings + at, file.indexOf(0, strings + at))
    for (let library = offset, left = count; left > 0; left--) {
      /** @type {string[]} */
      const versions = []
      needed[name(file.readUInt32LE(library + 4))] = versions
      let version = library + file.readUInt32LE(library + 8)
      for (let more = file.readUInt16LE(library + 2); more > 0; more--) {
        versions.push(name(file.readUInt32LE(version + 8)))
        version += file.readUInt32LE(version + 12)
      }
      library += file.readUInt32LE(library + 12)
    }
  }
  return needed
}

/** What the section headers say of each section; `count` is `sh_info`, for this type the number of libraries. */
function readSections(/** @type {Buffer} */ file) {
  const start = Number(file.readBigUInt64LE(40))
  const size = file.readUInt16LE(58)
  return Array.from({ length: file.readUInt16LE(60) }, (_, index) => {
    const at = start + index * size
    return {
      type: file.readUInt32LE(at + 4),
      offset: Number(file.readBigUInt64LE(at + 24)),
      link: file.readUInt32LE(at + 40),
      count: file.readUInt32LE(at + 44),
    }
  })
}

/**
 * What keeps a file from loading with the glibc of a `floor` (`2.17`): versions above it, and names that tell no version, such as
 * `GLIBC_PRIVATE` and `GLIBC_ABI_DT_RELR`, which is of 2.36. A file that says nothing of the C library has not been understood.
 */
export function beyondGlibc(/** @type {Buffer} */ file, /** @type {string} */ floor) {
  const needed = neededVersions(file)
  if (!needed['libc.so.6']?.length) return ['an unknown version of libc.so.6']
  const numbers = (/** @type {string} */ version) => version.split('.').map(Number)
  const [most = 0, least = 0, last = 0] = numbers(floor)
  return Object.values(needed)
    .flat()
    .filter((name) => {
      if (!name.startsWith('GLIBC_')) return false
      const version = /^GLIBC_(\d+(?:\.\d+)+)$/.exec(name)?.[1]
      if (version === undefined) return true
      const [major = 0, minor = 0, patch = 0] = numbers(version)
      return (major - most || minor - least || patch - last) > 0
    })
}
