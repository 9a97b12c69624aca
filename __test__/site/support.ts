/** A workplace with a small site for each test, and builders in processes of their own. */

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve, sep } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { leftoversIn } from '../../examples/site/demo/inspect'
import { buildAtomically } from '../../examples/site/lib/atomic-build'
import { type BuildOptions, type BuildResult, buildSite } from '../../examples/site/lib/build'
import { bundled } from '../helpers/bundle'

const CLI = resolve(__dirname, '../../examples/site/cli.ts')
export const FIXTURES = join(__dirname, 'fixtures')

export const URL_OF_SITE = 'https://example.org/docs/'

/** A logo that takes a part of the time to draw as an icon: each process draws it anew. */
export const THEME = join(FIXTURES, 'theme')

export interface Workplace {
  root: string
  source: string
  out: string
  /** Puts a source in its place. */
  put(name: string, content: string | Buffer): void
  /** A file of the site. */
  read(name: string): string
}

/** Made before and removed after each test. */
export function useWorkplace(): Workplace {
  const place = {} as Workplace
  beforeEach(() => {
    place.root = mkdtempSync(join(tmpdir(), 'site-spec-'))
    place.source = join(place.root, 'source')
    place.out = join(place.root, 'out')
    place.put = (name, content) => {
      const path = join(place.source, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, content)
    }
    place.read = (name) => readFileSync(join(place.out, name), 'utf8')
    mkdirSync(place.source)
  })
  afterEach(() => {
    for (const child of running) child.kill('SIGKILL')
    rmSync(place.root, { recursive: true, force: true })
  })
  return place
}

const pageNames = (count: number) =>
  Array.from({ length: count }, (_, i) => `page-${String(i).padStart(3, '0')}.md`)

/** So many pages that all say which version they are of, and are long enough to be torn. */
export function putPages(place: Workplace, version: string, count = 12): void {
  for (const name of pageNames(count)) place.put(name, textOf(name, version))
}

/** Most of it is code, which takes less time to render than words do. */
function textOf(name: string, version: string): string {
  const words = `This is version ${version} of ${name}.`
  return `# ${name} ${version}\n\n${words}\n\n\`\`\`\n${`${words} `.repeat(400)}\n\`\`\`\n`
}

/** A build in this process. */
export function build(place: Workplace, options: Partial<BuildOptions> = {}): Promise<BuildResult> {
  const { source, out } = place
  return buildSite({ source, out, url: URL_OF_SITE, title: 'The site', theme: THEME, ...options })
}

/** The same with `--atomic`. */
export function swapIn(place: Workplace, options: Partial<BuildOptions> = {}): Promise<BuildResult> {
  const { source, out } = place
  return buildAtomically({ source, out, url: URL_OF_SITE, title: 'The site', theme: THEME, ...options })
}

const running = new Set<ReturnType<typeof spawn>>()

export interface Run {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

interface RunOptions {
  /** When the builder is to die: see the fixture. */
  die?: Death
  /** What the builder is to be sent at its first line of output. */
  interrupt?: NodeJS.Signals
  env?: Record<string, string>
  /** What is run instead of the command line. */
  script?: string
}

export interface Death {
  call: 'atomicWrite' | 'atomicWriteAll' | 'atomicIndexUpdate' | 'atomicTransaction' | 'atomicDirectory'
  /** Which of these calls, from 1. */
  nth: number
  /** `before` it; `inside` (a function of an update or a transaction, some entries, a finished tree); or `during`. */
  when: 'before' | 'inside' | 'during'
  /** With `inside` of atomicWriteAll: after how many files. */
  some?: number
  /** With `during`: milliseconds after all was handed over. */
  ms?: number
}

/** A build of what most tests here build. */
function exercise(folder: string): string[] {
  mkdirSync(join(folder, 'source'))
  for (const name of pageNames(3)) writeFileSync(join(folder, 'source', name), textOf(name, 'one'))
  writeFileSync(join(folder, 'source', 'picture.svg'), readFileSync(join(THEME, 'logo.svg')))
  return ['build', 'source', 'out', '--title', 'The site', '--url', URL_OF_SITE, '--theme', THEME]
}

export async function start(args: readonly string[], options: RunOptions = {}) {
  const { die, interrupt, env, script = CLI } = options
  const fixture = die ? 'die-at-call.ts' : interrupt && 'signal-at-output.ts'
  const preload = fixture ? ['--require', await bundled(join(FIXTURES, fixture))] : []
  const program = await bundled(script, script === CLI ? exercise : undefined)
  const child = spawn(process.execPath, [...preload, program, ...args], {
    env: {
      ...process.env,
      NO_COLOR: '1',
      ...(die && { DIE: JSON.stringify(die) }),
      ...(interrupt && { INTERRUPT: interrupt }),
      ...env,
    },
  })
  running.add(child)
  const run: Run = { code: null, signal: null, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    run.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    run.stderr += text
  })
  const ended = once(child, 'close').then(([code, signal]): Run => {
    running.delete(child)
    return Object.assign(run, { code, signal })
  })
  return { child, run, ended }
}

/** Runs the command line in a process of its own. */
export const cli = async (args: readonly string[], options: RunOptions = {}): Promise<Run> =>
  (await start(args, options)).ended

/** The words of `site build` of the workplace, named as `build` above names it. */
export const buildWords = (place: Workplace): string[] => {
  const options = ['--title', 'The site', '--url', URL_OF_SITE, '--theme', THEME]
  return ['build', place.source, place.out, ...options]
}

/** `site build` of the workplace. */
export const cliBuild = (
  place: Workplace,
  more: readonly string[] = [],
  options: RunOptions = {},
): Promise<Run> => cli([...buildWords(place), ...more], options)

/** Every file below a folder, with its content. */
export function contents(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
  return new Map(
    names
      // Transactions have their journal there, which depends on the builds before.
      .filter((name) => !name.split(sep).includes('.atomic') && statSync(join(folder, name)).isFile())
      .map((name) => [name, readFileSync(join(folder, name), 'latin1')]),
  )
}

/** The same, short enough to be shown where two folders differ. */
export function digests(folder: string): Map<string, string> {
  const short = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12)
  return new Map([...contents(folder)].map(([name, text]) => [name, short(text)]))
}

export const namesIn = (folder: string) => [...contents(folder).keys()]

/** What is not the site's own in the workplace: of temp, lock and pid files and staged folders. */
export const leftovers = (place: Workplace) => leftoversIn(place.root)
