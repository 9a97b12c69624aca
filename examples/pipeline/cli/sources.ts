/** Reads a file named on the command line: a document as JSON, or Markdown that is converted to one. */

import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path'
import { type Parsed, parseFrontMatter } from '../../site/lib/front-matter'
import { fromMarkdown } from '../lib/content/markdown'
import { contentRoot, isInStore } from '../lib/content/paths'
import { parseJson, readIfThere } from '../lib/content/read-json'
import { PublishError } from '../scripts/pipeline/publisher'
import { loadTopicIndex } from '../scripts/pipeline/topicIndex'

/** @throws PublishError `VALIDATION_ERROR` for a file that is missing, of an unknown kind, or not valid JSON. */
export async function readSource(file: string): Promise<unknown> {
  const kind = extname(file).toLowerCase()
  if (kind !== '.json' && kind !== '.md') {
    throw new PublishError('only .json and .md files can be published', 'VALIDATION_ERROR')
  }
  const bytes = await readIfThere(file)
  if (bytes === undefined) throw new PublishError('no such file', 'VALIDATION_ERROR')
  if (kind === '.md') return fromMarkdownFile(file, bytes.toString())
  try {
    return parseJson(bytes, file)
  } catch (cause) {
    // Not INVALID_JSON: that code means that an index is broken.
    throw new PublishError((cause as Error).message, 'VALIDATION_ERROR', { cause })
  }
}

/**
 * Converts to a blog post. Front matter may give title, description, date and draft. The id is the path from the content
 * folder, whatever the current folder is (from the current folder, if the content is in a store); the slug is the one under which the document was first published, then made of the
 * path from the current folder.
 */
async function fromMarkdownFile(file: string, text: string) {
  const { front, body } = readFrontMatter(text)
  const name = asUrl(relative(process.cwd(), file))
  const base = isInStore() ? process.cwd() : contentRoot()
  const id = asUrl(relative(await realOf(base), await realOf(resolve(file))))
  const modified = (await stat(file)).mtime.toISOString()
  const doc = fromMarkdown(body, {
    id,
    slug: (await publishedSlug(id)) ?? (await slugOf(name)),
    title: name,
    author: 'unknown',
    publishedAt: front.date ?? modified,
    updatedAt: modified,
  })
  return {
    ...doc,
    title: front.title ?? doc.title,
    description: front.description ?? doc.description,
    flags: { draft: front.draft, noindex: false },
    pageType: 'blog' as const,
    categorySlug: 'markdown',
  }
}

/** The library makes a thousand patterns when it is loaded, which JSON need not wait for. */
async function slugOf(name: string): Promise<string> {
  const { default: slugify } = await import('@sindresorhus/slugify')
  return slugify(name.replace(/\.md$/i, ''))
}

function readFrontMatter(text: string): Parsed {
  try {
    return parseFrontMatter(text)
  } catch (cause) {
    throw new PublishError((cause as Error).message, 'VALIDATION_ERROR', { cause })
  }
}

const asUrl = (path: string) => path.split(sep).join('/')

async function publishedSlug(id: string): Promise<string | undefined> {
  return (await loadTopicIndex()).find(({ documentId, pageType }) => documentId === id && pageType === 'blog')
    ?.slug
}

/** The path without links, as far as it exists. */
async function realOf(path: string): Promise<string> {
  return realpath(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' || dirname(path) === path) throw error
    return join(await realOf(dirname(path)), basename(path))
  })
}
