// Contenders that publish a document: its file and its records in three indexes.

import { publishDoc } from '../../examples/pipeline/scripts/pipeline/publisher'
import { formerPublishDoc } from './former-publisher/publish'
import { type Guarantees, guarantee } from './guarantees'

export interface Publisher extends Guarantees {
  publish(doc: unknown): Promise<unknown>
}

const kept = ['fsyncFile', 'fsyncDirectory', 'readBack', 'exclusion'] as const

export const transactionPublisher: Publisher = {
  ...guarantee('publishDoc', ...kept),
  publish: publishDoc,
}

export const formerPublisher: Publisher = {
  ...guarantee('former publishDoc, five commits', ...kept),
  publish: formerPublishDoc,
}

/** The subject first. */
export const publishers = [transactionPublisher, formerPublisher]

/** As a generator of articles makes it, 3 KB. `version` is in all that is stored of it. */
export function makeDocument(number: number, version: number) {
  const slug = `post-${String(number).padStart(5, '0')}`
  return {
    id: `id-${slug}`,
    pageType: 'blog',
    slug,
    title: `Post ${number}, version ${version}`,
    description: 'What it is about, in one sentence of the usual length.',
    body: `Version ${version}. ${'Žluťoučký kůň, and a sentence as any other. '.repeat(50)}`,
    primaryKeyword: 'sentence',
    secondaryKeywords: ['other', 'usual'],
    headings: [{ level: 2, text: 'A heading as any other' }],
    faqs: [],
    sources: [{ url: 'https://example.org/source' }],
    author: { name: 'A. Writer' },
    dates: { publishedAt: '2025-10-04T00:00:00.000Z', updatedAt: '2025-10-04T00:00:00.000Z' },
    flags: { draft: false, noindex: false },
    categorySlug: 'posts',
  }
}
