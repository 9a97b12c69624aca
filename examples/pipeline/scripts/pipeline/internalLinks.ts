/**
 * For older scripts that list a document themselves. The update goes through the publisher's, so it is as safe as
 * `publishDoc`.
 */

import { validateDocument } from '../../lib/content/document'
import { listDocuments } from './publisher'

/**
 * Lists one document in the content index.
 *
 * @deprecated Use `publishDoc`, which also writes the document and the other indexes.
 * @throws PublishError `VALIDATION_ERROR`, and the errors of an index update.
 */
export async function updateContentIndex(input: unknown): Promise<void> {
  await listDocuments([validateDocument(input)])
}
