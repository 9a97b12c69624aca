/** A content folder of its own for each test, documents to publish, and publisher processes to publish them. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach } from 'vitest'
import type { Expected } from '../../examples/pipeline/demo/corpus'
import { takeSnapshot } from '../../examples/pipeline/demo/snapshot'
import { type PipelineDocument, serializeDocument } from '../../examples/pipeline/lib/content/document'
import { CONTENT_ENV, routePath } from '../../examples/pipeline/lib/content/paths'
import { bundled } from '../helpers/bundle'

const HERE = __dirname
const CLI = resolve(HERE, '../../examples/pipeline/cli.ts')
export const FIXTURES = join(HERE, 'fixtures')

/** What the addon leaves beside its targets while it works, and nothing else. */
export const LEFTOVER = /^\..*(?:\.[0-9A-Za-z]{12}\.atomic-(?:tmp|txn)|\.lock)$/

export interface Workplace {
  /** The content folder; the environment points there, too. */
  content: string
  /** For files that are published from. */
  input: string
  system: (name: string) => string
}

/** Made before and removed after each test. */
export function useWorkplace(): Workplace {
  const place = {} as Workplace
  let root: string
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'pipeline-spec-'))
    place.content = join(root, 'content')
    place.input = join(root, 'input')
    place.system = (name) => join(place.content, '_system', name)
    mkdirSync(place.input)
    process.env[CONTENT_ENV] = place.content
  })
  afterEach(() => {
    for (const child of running) child.kill('SIGKILL')
    rmSync(root, { recursive: true, force: true })
    delete process.env[CONTENT_ENV]
  })
  return place
}

type Fields = Record<string, unknown>

/** A valid blog post, or whatever `fields` make of it. */
export function aDocument(fields: Fields = {}): PipelineDocument {
  const slug = (fields.slug as string) ?? 'red-oak'
  return {
    id: `id-${slug}`,
    pageType: 'blog',
    slug,
    title: `About ${slug}`,
    description: 'What it is and where it grows.',
    body: 'A tree of the northern forests.',
    primaryKeyword: 'tree',
    secondaryKeywords: ['forest', 'oak'],
    headings: [{ level: 1, text: `About ${slug}` }],
    faqs: [{ question: 'Is it a tree?', answer: 'It is.' }],
    sources: [{ url: 'https://example.org/trees' }],
    author: { name: 'Ada' },
    dates: { publishedAt: '2025-01-02T03:04:05Z', updatedAt: '2025-01-02T03:04:05Z' },
    flags: { draft: false, noindex: false },
    categorySlug: 'trees',
    ...fields,
  } as PipelineDocument
}

/** Puts documents into a folder of their own, in their order. */
export function inputFolder(place: Workplace, name: string, docs: readonly unknown[]): string {
  const folder = join(place.input, name)
  mkdirSync(folder)
  for (const [i, doc] of docs.entries()) {
    writeFileSync(join(folder, `${String(i).padStart(4, '0')}.json`), JSON.stringify(doc))
  }
  return folder
}

const running = new Set<ChildProcess>()

export interface Run {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface RunOptions {
  env?: Record<string, string>
  /** Modules loaded before the command line. */
  preload?: string[]
  /** A program that runs node, and its arguments. */
  under?: string[]
  cwd?: string
}

/** A publish of a document. */
function exercise(folder: string): string[] {
  writeFileSync(join(folder, 'a.json'), JSON.stringify(aDocument()))
  return ['--content', join(folder, 'content'), 'publish', 'a.json']
}

async function start(
  script: string,
  args: readonly string[],
  { env, preload = [], under = [], cwd }: RunOptions,
) {
  const modules = await Promise.all(preload.map((module) => bundled(module)))
  const node = [process.execPath, ...modules.flatMap((module) => ['--require', module])]
  const program = await bundled(script, script === CLI ? exercise : undefined)
  const [command = '', ...rest] = [...under, ...node, program, ...args]
  const child = spawn(command, rest, { env: { ...process.env, NO_COLOR: '1', ...env }, cwd })
  running.add(child)
  const run: Run = { code: null, signal: null, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    run.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    run.stderr += text
  })
  const ended = once(child, 'close').then(([code, signal]) => {
    running.delete(child)
    return Object.assign(run, { code, signal })
  })
  return { child, run, ended }
}

/** Runs the publisher's command line in a process of its own. */
export async function cli(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return (await start(CLI, args, options)).ended
}

/** Starts the command line. `hasBegun` resolves with the first line for which `isBegun` answers `true`, or with the end. */
export async function publisher(args: readonly string[], isBegun: (line: string) => boolean) {
  const { child, ended } = await start(CLI, args, {})
  const begun = new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (isBegun(line)) resolve()
    })
  })
  return { child, ended, hasBegun: Promise.race([begun, ended]) }
}

/** Moments of a publish at which it can be killed. */
export const MOMENTS = [
  'before',
  ...[1, 2, 3].map((n) => `inside ${n}`),
  ...[0, 2, 4, 8, 16, 32].map((ms) => `during ${ms}`),
]

/** Publishes `doc` in a process that is killed at one of the moments. */
export function publishAndDie(place: Workplace, doc: unknown, when: string): Promise<Run> {
  return cli(['publish', inputFolder(place, 'dying', [doc])], {
    preload: [join(FIXTURES, 'die-at-call.ts')],
    env: { DIE_AT: '1', DIE_WHEN: when },
  })
}

/** What is to be on disk of a document. */
export function expected(doc: PipelineDocument): Expected {
  return { doc, text: serializeDocument(doc) }
}

/** In which of its four files the document is, as of one moment. */
export async function whereIs(doc: PipelineDocument): Promise<string | undefined> {
  const { documents } = await takeSnapshot([expected(doc)])
  return documents.get(routePath(doc))
}

/** Starts a TypeScript fixture. */
export function fixture(name: string, args: readonly string[], options: RunOptions = {}) {
  return start(join(FIXTURES, name), args, options)
}

export async function readJson<T = any>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, 'utf8'))
}

/** Every file below the content folder, relative to it. */
export async function filesIn(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  return found
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
    .sort()
}

export async function leftoversIn(folder: string): Promise<string[]> {
  return (await filesIn(folder)).filter((file) => LEFTOVER.test(file.split(/[\\/]/).pop() ?? ''))
}
