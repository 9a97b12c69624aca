// What a call says that cannot do its work: the code, what to do next, and never a credential.

import { expect, inject } from 'vitest'
import { expectNoSecret, failures } from './helpers/failures'
import { eachStore } from './helpers/stores'

eachStore((room) => {
  const { store } = room

  room.test('a bucket that is not there', async () => {
    const url = room.url().replace(store.bucket, `${store.bucket}-missing`)
    const errors = await failures(room, url, {})
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'ENOENT', message: expect.stringMatching(/bucket|container/) })
      expect(error.message).toContain(url)
    }
    expectNoSecret(errors, store.secrets)
  })

  room.test('a server that is not there', async () => {
    const errors = await failures(room, room.url(), { endpoint: 'http://127.0.0.1:9', timeout: 1000 })
    for (const error of errors) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^(ETIMEDOUT|ECONNREFUSED)$/) })
      expect(error.message).toMatch(/endpoint/)
    }
    expectNoSecret(errors, store.secrets)
  })

  // The stub asks for no signature.
  if (store.scheme !== 'gs') {
    room.test('a wrong key', async () => {
      const wrong = Buffer.from('this is another key than the server knows').toString('base64')
      const env = { ...store.env }
      env[store.scheme === 's3' ? 'AWS_SECRET_ACCESS_KEY' : 'AZURE_STORAGE_ACCOUNT_KEY'] = wrong
      const errors = await failures(room, room.url(), { env })
      for (const error of errors) expect(error).toMatchObject({ code: 'EACCES', status: 403 })
      expectNoSecret(errors, [...store.secrets, wrong])
    })
  }

  room.test('a password in a URL or in the endpoint is refused, and not repeated', async () => {
    const secret = 'pa55word'
    const inUrl = room.url().replace('://', `://user:${secret}@`)
    const errors = await failures(room, inUrl, {})
    const endpoint = (store.endpoint || 'https://example.org').replace('://', `://user:${secret}@`)
    errors.push(...(await failures(room, room.url(), { endpoint })))
    for (const error of errors) expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    expectNoSecret(errors, [secret])
  })
})

eachStore(
  (room) => {
    room.test('a server that ignores conditions is refused before anything is written', async () => {
      const url = room.url()
      const errors = (await failures(room, url, {})).filter((error) => !('resolved' in error))
      // What only reads needs no conditions.
      expect(errors.length).toBeGreaterThanOrEqual(2)
      for (const error of errors) {
        expect(error).toMatchObject({ code: 'ERR_ATOMIC_STORE_UNFIT' })
        expect(error.message).toMatch(/condition/)
      }
      const { pathname } = new URL(url)
      expect((await fetch(`${room.store.endpoint}/${room.store.bucket}${pathname}`)).status).toBe(404)
      expectNoSecret(errors, room.store.secrets)
    })
  },
  [inject('unfit')],
)
