// `npm run build:all`: the addon for every platform, as it is released, into target/binaries. `npm run build:all -- TARGET …`
// makes some of them. A target that cannot be had here is skipped by name. What was done is drawn as a table, and noted for
// `npm run test:platforms`.

import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { addTarget } from './check/targets.mjs'
import { beyondGlibc } from './platforms/elf.mjs'
import { binaries, complaintOfSize, fileOf, GLIBC_FLOOR, targets, wayTo } from './platforms/targets.mjs'
import { linkerTools } from './platforms/tools.mjs'
import { sharedLibrary } from './prepare.mjs'
import { Complaint, root, runAsScript, runCargo } from './tools.mjs'

/** @typedef {{ target: string, done: 'linked' | 'checked' | 'skipped' | 'failed', commit?: string, file?: string, size?: number,
 *   packed?: number, note?: string }} Built */

const notes = join(binaries, 'built.json')

/** What the last run for each target made. @returns {Built[]} */
export function readBuilt() {
  try {
    return JSON.parse(readFileSync(notes, 'utf8'))
  } catch {
    return []
  }
}

/** What is built: the commit, and whether files differ from it; `undefined` where that cannot be told. */
export function commitOf(folder = root) {
  const git = (/** @type {string[]} */ ...args) => spawnSync('git', args, { cwd: folder, encoding: 'utf8' })
  const head = git('rev-parse', '--short=10', 'HEAD')
  const changes = git('status', '--porcelain')
  if (head.status !== 0 || changes.status !== 0) return undefined
  return changes.stdout.trim() ? `${head.stdout.trim()} and changes` : head.stdout.trim()
}

/** @returns {Promise<Built>} */
async function make(/** @type {string} */ target) {
  const missing = await addTarget(target)
  if (missing) return { target, done: 'skipped', note: missing }
  const way = wayTo(target)
  if (way === 'check') {
    const { code, output } = await runCargo(['check', '-q', '--lib', '--target', target], { quiet: true })
    return code === 0
      ? { target, done: 'checked', note: 'its linker is on Windows alone' }
      : { target, done: 'failed', note: output }
  }
  /** @type {NodeJS.ProcessEnv} */
  let env = {}
  try {
    if (way === 'zig') env = await linkerTools()
  } catch (error) {
    if (error instanceof Complaint) return { target, done: 'skipped', note: error.message }
    throw error
  }
  const isGlibc = target.endsWith('linux-gnu')
  const where = isGlibc && way === 'zig' ? `${target}.${GLIBC_FLOOR}` : target
  const library = { path: '' }
  const { code, stderr } = await runCargo(
    [
      way === 'zig' ? 'zigbuild' : 'build',
      ...(way === 'zig' ? ['--locked'] : []),
      ...['--release', '--lib', '--target', where],
      '--message-format=json-render-diagnostics',
    ],
    {
      quiet: true,
      env,
      onLine(line, from) {
        if (from === 'stdout') library.path = sharedLibrary(line) ?? library.path
      },
    },
  )
  if (code !== 0 || !library.path) return { target, done: 'failed', note: stderr.trim() }
  const file = fileOf(target)
  copyFileSync(library.path, join(binaries, file))
  const content = readFileSync(library.path)
  const above = isGlibc ? beyondGlibc(content, GLIBC_FLOOR) : []
  const problem = above.length ? `it needs ${above.join(', ')}` : complaintOfSize(join(binaries, file))
  if (problem) return { target, done: 'failed', note: problem }
  const isOther = Object.keys(process.env).some((name) => name.startsWith('CARGO_PROFILE_'))
  return {
    target,
    done: 'linked',
    file,
    size: statSync(library.path).size,
    packed: gzipSync(content, { level: 9 }).length,
    note: [isGlibc && `glibc ${GLIBC_FLOOR} or newer`, isOther && 'another profile than the released one']
      .filter(Boolean)
      .join(', '),
  }
}

/** As a table in Markdown. */
export function drawBuilt(/** @type {Built[]} */ built) {
  const number = (/** @type {number | undefined} */ bytes) => bytes?.toLocaleString('en') ?? ''
  const rows = built.map(
    ({ target, file = '', size, packed, done, note }) =>
      `| \`${target}\` | ${file && `\`${file}\``} | ${number(size)} | ${number(packed)} | ${done}${note ? `: ${note.split('\n')[0]}` : ''} |`,
  )
  return [
    '| target | file | bytes | packed | |',
    '|---|---|--:|--:|---|',
    ...rows,
    ...drawCommits(built),
  ].join('\n')
}

/** What was made of which commit: a run for some targets leaves the others as they were. */
function drawCommits(/** @type {Built[]} */ built) {
  const made = built.filter(({ done }) => done === 'linked' || done === 'checked')
  const commits = [...new Set(made.map(({ commit }) => commit))]
  if (commits.every((commit) => commit === undefined)) return []
  const [only] = commits
  if (commits.length === 1) return ['', `Made of ${only}.`]
  const of = (/** @type {string | undefined} */ commit) =>
    made.filter((one) => one.commit === commit).map(({ target }) => `\`${target}\``)
  return [
    '',
    'Made of several commits:',
    '',
    ...commits.map((commit) => `- ${commit ?? 'not noted'}: ${of(commit).join(', ')}`),
  ]
}

runAsScript(import.meta.url, async () => {
  const wanted = process.argv.slice(2)
  const unknown = wanted.filter((target) => !targets.includes(target))
  if (unknown.length) throw new Complaint(`No target ${unknown.join(', ')}. Targets: ${targets.join(' ')}`)
  mkdirSync(binaries, { recursive: true })
  for (const target of wanted.length ? wanted : targets) {
    console.error(target)
    rmSync(join(binaries, fileOf(target)), { force: true })
    // Before, as the build may go on for long, and somebody may work meanwhile.
    const commit = commitOf()
    /** @type {Built} */
    const made = { ...(await make(target)), ...(commit && { commit }) }
    if (made.done === 'failed') console.error(made.note)
    // Noted one by one: a run that is interrupted has not built in vain.
    const built = [...readBuilt().filter((one) => one.target !== target), made]
    built.sort((one, other) => targets.indexOf(one.target) - targets.indexOf(other.target))
    writeFileSync(notes, `${JSON.stringify(built, null, 2)}\n`)
  }
  const built = readBuilt().filter(({ target }) => !wanted.length || wanted.includes(target))
  console.log(drawBuilt(built))
  const failed = built.filter(({ done }) => done === 'failed').map(({ target }) => target)
  if (failed.length) throw new Complaint(`not built: ${failed.join(', ')}`)
  // A workflow that asks for a target wants its binary.
  const skipped = built.filter(({ done }) => wanted.length > 0 && done === 'skipped')
  if (skipped.length) throw new Complaint(`skipped: ${skipped.map(({ target }) => target).join(', ')}`)
})
