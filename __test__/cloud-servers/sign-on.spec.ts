// Profiles of AWS with single sign-on: by a stub of its portal and of what renews tokens, which stands in for S3 as well.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { asOneBucket, type Reader, startReader } from './helpers/profiles'

let server: Server
let reader: Reader
let address: string
/** The home of a user. */
let folder: string
let asked: string[]
/** Tokens that the portal does not accept any more. */
const ended = new Set(['ended'])
/** For how long the portal gives keys. */
let seconds: number
/** What the next request for a token does before it is answered. */
let renewing: () => void
/** The portal and what renews tokens lead to this path, by a redirect to another host. */
let elsewhere: string | undefined
/** What they say of a request that they refuse. */
let words: (body: string) => string

const secret = 'a-secret-of-the-portal'
const inFuture = (more: number) => new Date(Date.now() + more * 1000).toISOString()

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'atomic-sign-on-'))
  server = createServer(async (request, response) => {
    const body = await text(request)
    const url = new URL(request.url ?? '', address)
    const key = /Credential=([^/]+)/.exec(request.headers.authorization ?? '')?.[1]
    const bearer = request.headers['x-amz-sso_bearer_token'] as string | undefined
    asked.push([request.method, asOneBucket(url.pathname), bearer ?? key].filter(Boolean).join(' '))
    const refuse = (status: number, words: object) => response.writeHead(status).end(JSON.stringify(words))
    if (elsewhere && url.pathname !== elsewhere && !url.pathname.startsWith('/b')) {
      const { port } = server.address() as AddressInfo
      return response.writeHead(307, { location: `http://localhost:${port}${elsewhere}` }).end()
    }
    if (url.pathname === '/token') {
      const { grantType, clientId, clientSecret, refreshToken } = JSON.parse(body)
      const is = [grantType, clientId, clientSecret, refreshToken].join(' ')
      renewing()
      if (is !== `refresh_token id ${secret} ${secret}-refresh`)
        return refuse(400, { error: 'invalid_grant', error_description: words(body) })
      const renewed = { accessToken: 'renewed', expiresIn: 3600, refreshToken: 'the-next-one' }
      return response.end(JSON.stringify(renewed))
    }
    if (url.pathname === '/federation/credentials') {
      if (ended.has(bearer ?? '')) return refuse(401, { message: 'Session token not found or invalid' })
      if (url.searchParams.get('role_name') === 'none') return refuse(403, { message: 'No access' })
      const [account, role] = [url.searchParams.get('account_id'), url.searchParams.get('role_name')]
      const keys = { accessKeyId: `${role}-IN-${account}`, secretAccessKey: secret, sessionToken: secret }
      return response.end(
        JSON.stringify({ roleCredentials: { ...keys, expiration: Date.now() + seconds * 1000 } }),
      )
    }
    response.setHeader('etag', '"1"').end('{"a":1}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const services = { AWS_ENDPOINT_URL_SSO: address, AWS_ENDPOINT_URL_SSO_OIDC: address }
  const env = { HOME: folder, AWS_ENDPOINT_URL_STS: `${address}/sts`, ...services }
  reader = startReader({ folder, endpoint: address, env })
})

beforeEach(() => {
  asked = []
  seconds = 3600
  renewing = () => {}
  elsewhere = undefined
  words = () => 'no such session'
  rmSync(join(folder, '.aws'), { recursive: true, force: true })
})

afterAll(async () => {
  await reader.stop()
  server.close()
  rmSync(folder, { recursive: true })
})

const session = (more = '') =>
  `[profile ci]\nsso_session = us\nsso_account_id = 12\nsso_role_name = Reader\n${more}
[sso-session us]\nsso_region = eu-central-1\nsso_start_url = https://us.example/start\n`

const fileOf = (name: string) =>
  join(folder, '.aws/sso/cache', `${createHash('sha1').update(name).digest('hex')}.json`)

/** What the tools of AWS leave when a person signs in. */
function signIn(accessToken: string, expiresIn: number, more = {}, name = 'us') {
  mkdirSync(join(folder, '.aws/sso/cache'), { recursive: true })
  const token = { startUrl: 'https://us.example/start', region: 'eu-central-1', accessToken }
  writeFileSync(fileOf(name), JSON.stringify({ ...token, expiresAt: inFuture(expiresIn), ...more }))
}

const renewable = {
  ...{ clientId: 'id', clientSecret: secret, refreshToken: `${secret}-refresh` },
  registrationExpiresAt: inFuture(3600),
}

const read: Reader['read'] = (config, times) => reader.read(config, times)

const right = { resolved: { value: { a: 1 } } }
const portal = (token: string) => `GET /federation/credentials ${token}`
const get = 'GET /b/k Reader-IN-12'
const advice = { code: 'EACCES', message: expect.stringContaining('aws sso login --profile ci') }

test('the portal gives the role once for many requests, and again before its credentials expire', async () => {
  signIn('first', 3600)
  expect(await read(session(), 2)).toMatchObject(right)
  expect(asked).toEqual([portal('first'), get, get])
  asked = []
  seconds = 3
  expect(await read(session(), 2)).toMatchObject(right)
  expect(asked).toEqual([portal('first'), get, portal('first'), get])
})

test('a profile of the old form has its token by the address of the portal, and does not renew it', async () => {
  const old = `[profile ci]\nsso_start_url = https://old.example/start\nsso_region = eu-central-1
sso_account_id = 12\nsso_role_name = Reader\n`
  signIn('old', 60, renewable, 'https://old.example/start')
  expect(await read(old)).toMatchObject(right)
  expect(asked).toEqual([portal('old'), get])
  signIn('old', -1, renewable, 'https://old.example/start')
  expect(await read(old)).toMatchObject(advice)
})

test('a role is taken by way of a profile with single sign-on', async () => {
  signIn('first', 3600)
  const config = session().replace('profile ci', 'profile person')
  const error = await read(`[profile ci]\nrole_arn = arn:x\nsource_profile = person\n${config}`)
  expect(error).toMatchObject({ message: expect.stringContaining('arn:x') })
  expect(asked.slice(0, 2)).toEqual([portal('first'), 'POST /sts Reader-IN-12'])
})

test('a token that has expired is renewed, and kept for all tools with what else was there', async () => {
  signIn('first', -1, { ...renewable, other: 'kept' })
  expect(await read(session())).toMatchObject(right)
  expect(asked).toEqual(['POST /token', portal('renewed'), get])
  const kept = JSON.parse(readFileSync(fileOf('us'), 'utf8'))
  expect(kept).toMatchObject({
    accessToken: 'renewed',
    refreshToken: 'the-next-one',
    clientId: 'id',
    other: 'kept',
  })
  expect(Date.parse(kept.expiresAt)).toBeGreaterThan(Date.now() + 3000_000)
  expect(statSync(fileOf('us')).mode & 0o777).toBe(0o600)
})

test('what a person or another process has put there meanwhile is used, and stays', async () => {
  signIn('first', -1, renewable)
  renewing = () => signIn('by-a-person', 3600, renewable)
  expect(await read(session())).toMatchObject(right)
  expect(JSON.parse(readFileSync(fileOf('us'), 'utf8'))).toMatchObject({ accessToken: 'by-a-person' })
  signIn('first', -1, { ...renewable, refreshToken: 'used-up' })
  asked = []
  expect(await read(session())).toMatchObject(right)
  expect(asked).toEqual(['POST /token', portal('by-a-person'), get])
})

test('a token that still holds is used where it cannot be renewed', async () => {
  signIn('first', 60, { ...renewable, refreshToken: 'used-up' })
  expect(await read(session())).toMatchObject(right)
  expect(asked).toEqual(['POST /token', portal('first'), get])
})

test('secrets follow no redirect', async () => {
  signIn('first', 3600)
  elsewhere = '/elsewhere'
  expect(await read(session())).toMatchObject({ code: 'EACCES', message: expect.stringContaining('307') })
  signIn('first', -1, renewable)
  expect(await read(session())).toMatchObject({ code: 'EACCES', message: expect.stringContaining('307') })
  expect(new Set(asked)).toEqual(new Set([portal('first'), 'POST /token']))
})

test('buckets of one process renew the token once', async () => {
  signIn('first', -1, renewable)
  expect(await reader.readTogether(session(), 3)).toMatchObject([right, right, right])
  expect(asked.filter((what) => what === 'POST /token')).toHaveLength(1)
})

test('after a refusal, what another process has renewed is used as soon as it is there', async () => {
  signIn('first', -1, { ...renewable, refreshToken: 'used-up' })
  renewing = () => setTimeout(() => signIn('by-another', 3600), 200)
  expect(await read(session())).toMatchObject(right)
  expect(asked).toEqual(['POST /token', portal('by-another'), get])
})

test('a token that cannot be kept in the file is used until a person signs in or out', async () => {
  mkdirSync(join(folder, '.aws/sso/cache'), { recursive: true })
  // What is staged beside that file would have a name that is too long.
  symlinkSync(join(folder, '.aws', 'n'.repeat(250)), fileOf('us'))
  signIn('first', -1, renewable)
  for (let bucket = 0; bucket < 2; bucket++) expect(await read(session())).toMatchObject(right)
  expect(asked).toEqual(['POST /token', portal('renewed'), get, portal('renewed'), get])
  asked = []
  signIn('by-a-person', 1800)
  expect(await read(session())).toMatchObject(right)
  expect(asked).toEqual([portal('by-a-person'), get])
  signIn('first', -1, renewable)
  expect(await read(session())).toMatchObject(right)
  rmSync(fileOf('us'))
  expect(await read(session())).toMatchObject(advice)
})

test('a token that the portal does not accept any more is given up', async () => {
  mkdirSync(join(folder, '.aws/sso/cache'), { recursive: true })
  symlinkSync(join(folder, '.aws', 'n'.repeat(250)), fileOf('us'))
  signIn('first', -1, renewable)
  expect(await read(session())).toMatchObject(right)
  ended.add('renewed')
  expect(await read(session())).toMatchObject(advice)
  ended.delete('renewed')
  asked = []
  expect(await read(session())).toMatchObject(right)
  expect(asked[0]).toBe('POST /token')
})

// Root alone renews the tokens of others.
test.runIf(process.getuid?.() === 0)('a token that root renews stays that of its owner', async () => {
  signIn('first', -1, renewable)
  chownSync(fileOf('us'), 1234, 2345)
  expect(await read(session())).toMatchObject(right)
  expect(JSON.parse(readFileSync(fileOf('us'), 'utf8'))).toMatchObject({ accessToken: 'renewed' })
  expect(statSync(fileOf('us'))).toMatchObject({ uid: 1234, gid: 2345 })
})

test('a byte order mark is skipped, and a pipe is no token', async () => {
  signIn('first', 3600)
  writeFileSync(fileOf('us'), `\ufeff${readFileSync(fileOf('us'), 'utf8')}`)
  expect(await read(`\ufeff${session()}`)).toMatchObject(right)
  rmSync(fileOf('us'))
  execFileSync('mkfifo', [fileOf('us')])
  expect(await read(session())).toMatchObject(advice)
})

test('a person is told to sign in, and no secret is told', async () => {
  const none = await read(session())
  expect(none).toMatchObject(advice)
  signIn('first', -1, { ...renewable, registrationExpiresAt: inFuture(-1) })
  expect(await read(session())).toMatchObject(advice)
  expect(asked).toEqual([])
  signIn('first', -1, { ...renewable, refreshToken: `${secret}-used-up` })
  const refused = await read(session())
  expect(refused).toMatchObject(advice)
  expect(refused.message).toContain('no such session')
  words = (body) => `bad \u001b[31m${JSON.parse(body).refreshToken}`
  const echoed = await read(session())
  expect(echoed).toMatchObject(advice)
  words = () => 'no\u001b[31m\nsession'
  expect((await read(session())).message).toContain('(no[31m session)')
  signIn('ended', 3600)
  const old = await read(session())
  expect(old).toMatchObject(advice)
  signIn('first', 3600)
  const role = await read(session().replace('Reader', 'none'))
  expect(role).toMatchObject({ code: 'EACCES', message: expect.stringContaining('sso_role_name') })
  for (const error of [none, refused, echoed, old, role])
    expect(error.seen).not.toMatch(new RegExp(`${secret}|ended$|"first"`))
  expect(existsSync(fileOf('us'))).toBe(true)
})
