// `test`, skipped with the reason where the registry, or what a test installs, cannot be had.

import { inject, test as plain, type TestContext } from 'vitest'
import { Missing } from './provided'

export function test(title: string, body: (context: TestContext) => Promise<unknown>) {
  plain(title, async (context) => {
    if (inject('missing')) context.skip(inject('missing'))
    try {
      await body(context)
    } catch (error) {
      if (error instanceof Missing) context.skip(error.message)
      throw error
    }
  })
}
