/**
 * Real documents to publish: the READMEs and CHANGELOGs of the installed packages. The page types are arbitrary, chosen
 * so that all four of them, and nested folders, occur.
 */

import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import slugify from '@sindresorhus/slugify'
import { type PipelineDocument, serializeDocument, validateDocument } from '../lib/content/document'
import { filesBelow } from '../lib/content/files'
import { fromMarkdown } from '../lib/content/markdown'
import { topicKeyOf } from '../lib/content/paths'

export interface Expected {
  doc: PipelineDocument
  /** The exact content that the published file must have. */
  text: string
}

export interface Corpus {
  all: Expected[]
  /** The documents of each publisher. */
  shares: Expected[][]
}

interface Manifest {
  name?: string
  author?: string | { name?: string }
  keywords?: unknown
  homepage?: unknown
}

async function manifestOf(folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => '{}')
  const manifest: unknown = JSON.parse(text)
  return manifest !== null && typeof manifest === 'object' ? manifest : {}
}

function authorOf({ author, name }: Manifest): string {
  const given = typeof author === 'string' ? author.replace(/[<(].*$/, '').trim() : author?.name
  return given || (name ? `the authors of ${name}` : 'unknown')
}

/** A slug of at most 100 characters. If the slug is `taken`, a hash makes it unique. */
function shorten(slug: string, id: string, taken: boolean): string {
  if (!taken && slug.length <= 100) return slug
  return `${slug.slice(0, 90).replace(/-$/, '')}-${createHash('sha256').update(id).digest('hex').slice(0, 8)}`
}

async function toDocument(
  path: string,
  modules: string,
  isTaken: (doc: PipelineDocument) => boolean,
): Promise<PipelineDocument> {
  const id = relative(modules, path).split(sep).join('/')
  const manifest = await manifestOf(dirname(path))
  const modified = (await stat(path)).mtime.toISOString()
  const folder = slugify(dirname(id).replaceAll('node_modules/', '')) || 'modules'
  const isChangelog = /^changelog/i.test(basename(path))
  const keywords = Array.isArray(manifest.keywords)
    ? manifest.keywords.filter((word) => typeof word === 'string')
    : []
  const markdown = await readFile(path, 'utf8')

  const build = (taken: boolean): PipelineDocument => {
    const common = fromMarkdown(markdown, {
      id,
      slug: shorten(`${folder}-${isChangelog ? 'changes' : 'guide'}`, id, taken),
      title: manifest.name ?? id,
      author: authorOf(manifest),
      publishedAt: modified,
      updatedAt: modified,
      keywords,
    })
    const [scope = '', ...rest] = id.split('/')
    if (isChangelog) return validateDocument({ ...common, pageType: 'how-to' })
    if (scope === '@types') return validateDocument({ ...common, pageType: 'species' })
    if (scope.startsWith('@')) {
      const city = shorten(slugify(dirname(rest.join('/'))) || 'all', id, taken)
      return validateDocument({ ...common, pageType: 'location', stateSlug: slugify(scope), citySlug: city })
    }
    return validateDocument({ ...common, pageType: 'blog', categorySlug: 'packages', tags: keywords })
  }
  const doc = build(false)
  return isTaken(doc) ? build(true) : doc
}

/** Finds and converts the documents, and writes those of publisher i into `input/i/`. */
export async function collect(
  modules: string,
  input: string,
  { shares, limit }: { shares: number; limit: number },
): Promise<Corpus> {
  const paths = await filesBelow(modules, /^(?:readme|changelog)\.md$/i)
  const corpus: Corpus = { all: [], shares: Array.from({ length: shares }, () => []) }
  const taken = new Set<string>()
  const keys = (doc: PipelineDocument) => [topicKeyOf(doc), `${doc.pageType} ${doc.slug}`]

  for (const path of paths.slice(0, limit)) {
    const doc = await toDocument(path, modules, (candidate) => keys(candidate).some((key) => taken.has(key)))
    for (const key of keys(doc)) taken.add(key)
    const expected = { doc, text: serializeDocument(doc) }
    const share = corpus.all.length % shares
    corpus.shares[share]?.push(expected)
    // A scratch file: it need not survive a power cut.
    await atomicWrite(join(input, String(share), `${corpus.all.length}.json`), expected.text, {
      flush: false,
    })
    corpus.all.push(expected)
  }
  return corpus
}
