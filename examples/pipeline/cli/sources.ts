/** What a file on the command line holds: a document as it is, or Markdown to make one of. */

import { stat } from 'node:fs/promises'
import { extname, relative, sep } from 'node:path'
import { fromMarkdown, slugify } from '../lib/content/markdown'
import { parseJson, readIfThere } from '../lib/content/read-json'
import { PublishError } from '../scripts/pipeline/publisher'

/** @throws PublishError `VALIDATION_ERROR` for a file that is not there, of no known kind, or not JSON. */
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
    // INVALID_JSON would say that an index is broken.
    throw new PublishError((cause as Error).message, 'VALIDATION_ERROR', { cause })
  }
}

/** A blog post. Its path is its identity, its modification time its date: the same file is the same document. */
async function fromMarkdownFile(file: string, markdown: string) {
  const name = relative(process.cwd(), file).split(sep).join('/')
  const modified = (await stat(file)).mtime.toISOString()
  const slug = slugify(name.replace(/\.md$/i, ''))
  const origin = {
    id: name,
    slug,
    title: name,
    author: 'unknown',
    publishedAt: modified,
    updatedAt: modified,
  }
  return { ...fromMarkdown(markdown, origin), pageType: 'blog' as const, categorySlug: 'markdown' }
}
