/** Whose document a file is: what is found without parsing it is what parsing it would say. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { serializeDocument } from '../../examples/pipeline/lib/content/document'
import { ownerOf } from '../../examples/pipeline/lib/content/owner'
import { documentPath } from '../../examples/pipeline/lib/content/paths'
import { publishDoc } from '../../examples/pipeline/scripts/pipeline/publisher'
import { aDocument, useWorkplace } from './support'

const place = useWorkplace()

const ours = aDocument({ id: 'first' })
const text = serializeDocument(ours)

test.each([
  ['written here', text],
  ['of another', serializeDocument(aDocument({ id: 'second' }))],
  ['of another, and shorter than what is looked for', '{"id":2}'],
  ['with an id that begins in the same way', serializeDocument(aDocument({ id: 'first one' }))],
  [
    'with ids in it',
    serializeDocument(aDocument({ id: 'first', sources: [{ id: 'second', url: 'https://a.example' }] })),
  ],
  [
    'with another id later',
    text.replace('"tags"', '"id": "second",\n  "tags"').replace(/\n}\n$/, ',\n  "id": "second"\n}\n'),
  ],
  ['with another id later, in escapes', text.replace(/\n}\n$/, ',\n  "\\u0069d": "second"\n}\n')],
  [
    'with another id behind what is read at once',
    text.replace(/\n}\n$/, `,\n  "more": "${'x'.repeat(70_000)}",\n  "id": "second"\n}\n`),
  ],
  ['laid out otherwise', JSON.stringify(ours)],
  ['without an id', '{}'],
  ['null', 'null'],
])('a file %s', (_, content) => {
  const path = join(place.input, 'document.json')
  writeFileSync(path, content)
  expect(ownerOf(path, 'first')).toBe(JSON.parse(content)?.id)
})

test('a document with quotes in its id is known, too', () => {
  const path = join(place.input, 'document.json')
  writeFileSync(path, serializeDocument(aDocument({ id: 'a "quoted" \\ id' })))
  expect(ownerOf(path, 'a "quoted" \\ id')).toBe('a "quoted" \\ id')
})

test('one that is written here is not parsed', () => {
  const path = join(place.input, 'document.json')
  writeFileSync(path, text)
  const parse = vi.spyOn(JSON, 'parse')
  try {
    expect(ownerOf(path, 'first')).toBe('first')
    expect(parse).not.toHaveBeenCalled()
  } finally {
    parse.mockRestore()
  }
})

test('a short file of another document is not replaced', async () => {
  await publishDoc(ours)
  writeFileSync(documentPath(ours), '{"id":2}')
  await expect(publishDoc({ ...ours, title: 'New' })).rejects.toMatchObject({
    code: 'SLUG_TOPICKEY_CONFLICT',
  })
})
