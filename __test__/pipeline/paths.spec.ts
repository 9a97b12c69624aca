/** The content folder is read from the environment at each call. */

import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { CONTENT_ENV, contentRoot } from '../../examples/pipeline/lib/content/paths'
import { useWorkplace } from './support'

const place = useWorkplace()

test('follows the environment, and a relative path the current folder', () => {
  expect(contentRoot()).toBe(place.content)
  process.env[CONTENT_ENV] = 's3://bucket/site//'
  expect(contentRoot()).toBe('s3://bucket/site')
  process.env[CONTENT_ENV] = 'site'
  const cwd = vi.spyOn(process, 'cwd')
  for (const folder of ['one', 'two']) {
    cwd.mockReturnValue(join(place.content, folder))
    expect(contentRoot()).toBe(join(place.content, folder, 'site'))
  }
  cwd.mockRestore()
  process.env[CONTENT_ENV] = place.content
  expect(contentRoot()).toBe(place.content)
})
