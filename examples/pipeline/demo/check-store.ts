/**
 * Says what a store holds of documents, as JSON: `node check-store.cjs now|end FOLDER…`. It is a program of its own, because it needs the package
 * with its peer, and the credentials of the store in its environment.
 */

import { readFile } from 'node:fs/promises'
import { serializeDocument, validateDocument } from '../lib/content/document'
import { filesBelow } from '../lib/content/files'
import { contentRoot } from '../lib/content/paths'
import type { Expected } from './corpus'
import { type Findings, inspect } from './inspect'
import { takeSnapshot } from './snapshot'

export interface StoreCheck {
  /** The routes of the documents that are in the post and in all indexes. */
  published: string[]
  /** What is wrong at this moment: documents in some of the places, wrong counts. */
  faults: string[]
  /** At the end only: what is there, compared with the documents, all of which are to be published. */
  found?: Findings
}

async function main([when, ...folders]: readonly string[]): Promise<void> {
  const all: Expected[] = []
  for (const folder of folders) {
    for (const file of await filesBelow(folder, /\.json$/)) {
      const doc = validateDocument(JSON.parse(await readFile(file, 'utf8')))
      all.push({ doc, text: serializeDocument(doc) })
    }
  }
  const { documents, faults } = await takeSnapshot(all)
  const published = [...documents].filter(([, where]) => where === 'all').map(([route]) => route)
  const check: StoreCheck = { published, faults }
  if (when === 'end') check.found = await inspect(all, contentRoot())
  process.stdout.write(JSON.stringify(check))
}

void main(process.argv.slice(2))
