// Azure with a shared access signature (SAS) in the place of the account's key.

import { createHmac } from 'node:crypto'
import { expect, inject } from 'vitest'
import { expectNoSecret, failures } from './helpers/failures'
import { deltasLeft } from './helpers/folders'
import { eachStore } from './helpers/stores'

interface Grant {
  /** Letters: read, add, create, write, delete, list. */
  permissions?: string
  /** In how many hours it ends. */
  hours?: number
}

/** A SAS of the account, for all of its containers and blobs. */
function sasOf(account: string, key: string, { permissions = 'rwdlac', hours = 1 }: Grant = {}) {
  const end = `${new Date(Date.now() + hours * 3_600_000).toISOString().slice(0, 19)}Z`
  const [services, types, start, ip, protocols, version] = ['b', 'co', '', '', 'https,http', '2019-12-12']
  const lines = [account, permissions, services, types, start, end, ip, protocols, version, '']
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(lines.join('\n')).digest('base64')
  const fields = { sv: version, ss: services, srt: types, sp: permissions, se: end, spr: protocols }
  const token = new URLSearchParams({ ...fields, sig: signature }).toString()
  return { token, secrets: [token, signature, encodeURIComponent(signature)] }
}

/** What is signed with a key is not with the key in the environment. */
const inEnvironment = ({ AZURE_STORAGE_ACCOUNT_KEY: _, ...env }: Record<string, string>, token: string) => ({
  ...env,
  AZURE_STORAGE_SAS_TOKEN: token,
})

eachStore(
  (room) => {
    const { endpoint, env, missing } = room.store
    const sas = (grant?: Grant) =>
      sasOf(env.AZURE_STORAGE_ACCOUNT_NAME ?? '', env.AZURE_STORAGE_ACCOUNT_KEY ?? '', grant)

    const ways: [string, (token: string) => Record<string, string>][] = [
      ['in the environment', (token) => inEnvironment(env, token)],
      [
        'in a connection string',
        (token) => ({
          AZURE_STORAGE_CONNECTION_STRING: `BlobEndpoint=${endpoint};SharedAccessSignature=${token}`,
          AZURE_STORAGE_ACCOUNT_NAME: env.AZURE_STORAGE_ACCOUNT_NAME ?? '',
          AZURE_ALLOW_HTTP: 'true',
        }),
      ],
    ]
    for (const [where, environment] of ways) {
      room.test(`with a SAS ${where} everything works`, async () => {
        const use = missing ? {} : environment(sas().token)
        await room.clients(
          1,
          async ([client]) => {
            const call = (name: string, ...args: unknown[]) => client!.ask('call', name, ...args)
            const options = { endpoint }
            const [file, index, site] = [room.url('a file'), room.url(), room.url('site')]
            const { version } = await call('atomicWrite', file, 'first', options)
            await call('atomicWrite', file, 'second', { ...options, backup: true })
            const outdated = await client!.ask('fail', 'remove', file, { ...options, ifVersion: version })
            expect(outdated).toMatchObject({ code: 'ERR_ATOMIC_CONFLICT' })
            expect(await client!.ask('list', { url: file, options })).toEqual([file, `${file}.backup`])
            expect(await call('remove', file, options)).toMatchObject({ removed: true })
            expect(await call('remove', file, options)).toMatchObject({ removed: false })
            await client!.ask('update', { url: index, writer: 'a', times: 3, options })
            await call('atomicIndexPatch', index, { set: { b: 1 } }, options)
            expect(await deltasLeft(client!, index, options)).toEqual([])
            const publishing = { url: site, from: 0, times: 3, files: 2, options: { ...options, keep: 1 } }
            await client!.ask('publish', publishing)
            const release = await client!.ask('release', { url: site, options })
            expect(release.numbers).toEqual([2, 2])
            expect(await room.read(index)).toEqual({ a: [0, 1, 2], b: 1 })
          },
          use,
        )
      })
    }

    room.test(
      'a SAS that has ended, is of another key or grants too little, and what is no SAS',
      async () => {
        const key = Buffer.from('this is another key than the server knows').toString('base64')
        const grants = [
          sas({ hours: -1 }),
          sasOf(env.AZURE_STORAGE_ACCOUNT_NAME ?? '', key),
          sas({ permissions: 'l' }),
        ]
        for (const { token, secrets } of grants) {
          const errors = await failures(room, room.url(), { env: inEnvironment(env, token) })
          for (const error of errors) expect(error).toMatchObject({ code: 'EACCES', status: 403 })
          expectNoSecret(errors, secrets)
        }
        const errors = await failures(room, room.url(), { env: inEnvironment(env, 'sv=1&no-signature') })
        for (const error of errors) expect(error).toMatchObject({ code: 'EACCES' })
        expectNoSecret(errors, ['no-signature'])
      },
    )

    room.test('a SAS is in no message about a server that is not there', async () => {
      const { token, secrets } = sas()
      const nowhere = { env: inEnvironment(env, token), endpoint: 'http://127.0.0.1:9', timeout: 1000 }
      expectNoSecret(await failures(room, room.url(), nowhere), secrets)
    })
  },
  inject('stores').filter(
    ({ scheme, env, missing }) => scheme === 'az' && (missing !== undefined || env.AZURE_STORAGE_ACCOUNT_KEY),
  ),
)
