/** Reads a file named on the command line: a document as JSON, or Markdown that is converted to one. */

import { stat } from 'node:fs/promises'
import { extname, relative, sep } from 'node:path'
import { fromMarkdown, slugify } from '../lib/content/markdown'
import { parseJson, readIfThere } from '../lib/content/read-json'
import { PublishError } from '../scripts/pipeline/publisher'

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

/** Converts to a blog post. The path is the document's id and the modification time its date. */
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
