// What the scripts here share: where the project is, and how a command is run.
// Only Node's own modules, as these scripts run before anything is installed.

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { constants, homedir, tmpdir } from 'node:os'
import { delimiter, join, posix } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** The folder of package.json and Cargo.toml. */
export const root = fileURLToPath(new URL('..', import.meta.url))

/** A message for the person at the terminal; its stack would tell them nothing. */
export class Complaint extends Error {}

/** What `run` has started and what has not ended. */
const running = /** @type {Set<import('node:child_process').ChildProcess>} */ (new Set())

/**
 * A signal that ends this script ends what it has started, too: a build or a run of tests would go on for minutes. Not by a
 * process group of their own, which a kill of this one's group would miss.
 */
function endTogether() {
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.once(signal, () => {
      end(process.pid)
      process.exit(128 + constants.signals[signal])
    })
  }
}

/** Ends what the process `of` has started: of this one, all that `run` has. */
function end(/** @type {number} */ of) {
  const below = descendants(of)
  for (const child of running) {
    if (of === process.pid || child.pid === of) child.kill()
  }
  for (const pid of below) {
    try {
      process.kill(pid)
    } catch {
      // It has ended already.
    }
  }
}

/** All below a process (compilers, tests, vitest's workers), where there is a `ps` that tells. */
function descendants(/** @type {number} */ of) {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'ppid=,pid='], { encoding: 'utf8' })
  /** @type {Map<number, number[]>} */
  const children = new Map()
  for (const [, parent, child] of (stdout ?? '').matchAll(/(\d+) +(\d+)/g)) {
    children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(child)])
  }
  /** @type {(parent: number) => number[]} */
  const below = (parent) => (children.get(parent) ?? []).flatMap((child) => [child, ...below(child)])
  return below(of)
}

/** Runs `main` if `moduleUrl` is the script that node was started with. */
export function runAsScript(/** @type {string} */ moduleUrl, /** @type {() => unknown} */ main) {
  if (!process.argv[1] || pathToFileURL(process.argv[1]).href !== moduleUrl) return
  endTogether()
  Promise.resolve()
    .then(main)
    .catch((error) => {
      console.error(error instanceof Complaint ? error.message : error)
      process.exitCode = 1
    })
}

/**
 * Runs a command in the project's folder and waits for it.
 *
 * `onLine` is called with each line of the output as it comes; `quiet` keeps the output from being shown; after
 * `timeout` milliseconds it is killed. When `signal` is aborted, it is ended with all that it has started.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string, quiet?: boolean, timeout?: number, signal?: AbortSignal,
 *   onLine?: (line: string, from: 'stdout' | 'stderr') => void }} [options]
 * @returns {Promise<{ code: number, stdout: string, stderr: string, output: string }>}
 */
export function run(command, args, { env, cwd = root, quiet = false, timeout, signal, onLine } = {}) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      timeout,
      stdio: ['ignore', 'pipe', 'pipe'],
      // npm and the like are .cmd files there, which only a shell starts.
      shell: process.platform === 'win32' && /^(npm|npx)$/.test(command),
    })
    running.add(child)
    const abort = () => child.pid && end(child.pid)
    signal?.addEventListener('abort', abort)
    const text = { stdout: '', stderr: '', output: '' }
    for (const from of /** @type {const} */ (['stdout', 'stderr'])) {
      let rest = ''
      child[from].setEncoding('utf8').on('data', (/** @type {string} */ chunk) => {
        text[from] += chunk
        text.output += chunk
        if (!quiet) process[from].write(chunk)
        if (!onLine) return
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) onLine(line, from)
      })
      child[from].on('end', () => rest && onLine?.(rest, from))
    }
    child.on('error', reject)
    child.on('close', (code, killedBy) => {
      running.delete(child)
      signal?.removeEventListener('abort', abort)
      if (killedBy) text.output += `ended by ${killedBy}\n`
      resolve({ code: code ?? 1, ...text })
    })
  })
}

/** Runs a JavaScript command-line tool with this very node. */
export function runNode(
  /** @type {string[]} */ args,
  /** @type {Parameters<typeof run>[2]} */ options = undefined,
) {
  return run(process.execPath, args, options)
}

/** npm, the one that started this script where there is one. */
export function runNpm(
  /** @type {string[]} */ args,
  /** @type {Parameters<typeof run>[2]} */ options = undefined,
) {
  const started = process.env.npm_execpath
  return started?.endsWith('npm-cli.js') ? runNode([started, ...args], options) : run('npm', args, options)
}

/** cargo: `$CARGO`, the one on the PATH, or where rustup puts it for a shell that has not been restarted yet. */
export function findCargo() {
  const name = process.platform === 'win32' ? 'cargo.exe' : 'cargo'
  if (process.env.CARGO) return process.env.CARGO
  const folders = (process.env.PATH ?? process.env.Path ?? '').split(delimiter).filter(Boolean)
  folders.push(join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'bin'))
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** Runs cargo; on CI `--locked`, as nobody is there to commit a changed lock file. */
export async function runCargo(
  /** @type {string[]} */ args,
  /** @type {Parameters<typeof run>[2]} */ options = undefined,
) {
  const cargo = findCargo()
  if (!cargo) throw new Complaint('cargo was not found: install Rust with rustup, then run this again.')
  const [command = '', ...rest] = args
  const locked =
    process.env.CI && /^(build|check|clippy|doc|fetch|metadata|test)$/.test(command) ? ['--locked'] : []
  return run(cargo, [command, ...locked, ...rest], options)
}

/**
 * What is selected for each build and test of these, whichever of them is wanted: cargo gives a dependency the features that all that is
 * selected asks for, and would compile it again for another selection. `crash-lab/src/lab/addon.rs` and `.ci/run` select the same.
 */
export const labPackages = ['pipeline-atomic', 'pipeline-atomic-engine', 'crash-lab'].flatMap((name) => [
  '-p',
  name,
])

/**
 * Calls `use` with a temporary folder that is gone afterwards.
 *
 * @template T
 * @param {(folder: string) => Promise<T>} use
 */
export async function withTemporaryFolder(use) {
  const folder = mkdtempSync(join(tmpdir(), 'pipeline-atomic-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  // A signal ends the process before `use` does.
  process.once('exit', remove)
  try {
    return await use(folder)
  } finally {
    process.off('exit', remove)
    remove()
  }
}

/**
 * The files in `folder/name` (or that file itself), named relative to `folder` with `/`, in order.
 *
 * @param {string} folder
 * @param {string} name
 * @param {(path: string) => boolean} [wanted] not asked about what is in an unwanted folder
 * @returns {string[]}
 */
export function listFiles(folder, name, wanted = () => true) {
  const path = posix.normalize(name)
  if (path !== '.' && !wanted(path)) return []
  const kind = lstatSync(join(folder, path))
  if (!kind.isDirectory()) return kind.isFile() ? [path] : []
  return readdirSync(join(folder, path))
    .sort()
    .flatMap((entry) => listFiles(folder, posix.join(path, entry), wanted))
}
