/**
 * Kept for scripts that list a document by themselves. It used to rewrite the content index on its own;
 * it now goes through the publisher's update, so an old caller is as safe as a new one.
 */

import { validateDocument } from '../../lib/content/document'
import { listDocuments } from './publisher'

/**
 * Lists one document in the content index.
 *
 * @deprecated `publishDoc` does this, and the other three files with it.
 * @throws PublishError `VALIDATION_ERROR`, `INVALID_JSON`, and the others of an index update.
 */
export async function updateContentIndex(input: unknown): Promise<void> {
  await listDocuments([validateDocument(input)])
}
