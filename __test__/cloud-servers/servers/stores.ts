// The stores that the specs run against, each with a bucket, and how a client reaches it.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startAzurite } from './azurite.mjs'
import { installed, installNode, installPython } from './install.mjs'
import { expectOk, startServer } from './start.mjs'

export interface Store {
  name: string
  scheme: 's3' | 'az' | 'gs'
  bucket: string
  /** Empty: the cloud's own. */
  endpoint: string
  /** What a client finds in its environment. */
  env: Record<string, string>
  /** What in `env` must never be seen elsewhere. */
  secrets: string[]
  /** Why it could not be had. */
  missing?: string
}

export interface RunningStore {
  store: Store
  stop(): Promise<void>
}

type Starter = () => Promise<RunningStore>

const BUCKET = 'atomic-specs'

/** Made up: these servers are told to accept it. */
const S3_KEY = { id: 'AKIAATOMICSPECS', secret: 'a-secret-key-of-the-specs/+=' }

const s3Env = {
  AWS_ACCESS_KEY_ID: S3_KEY.id,
  AWS_SECRET_ACCESS_KEY: S3_KEY.secret,
  AWS_REGION: 'us-east-1',
  AWS_ALLOW_HTTP: 'true',
}

const seaweedfs: Starter = async () => {
  const missing = await installPython()
  if (missing) return absent('SeaweedFS', 's3', missing)
  const server = await startServer({
    ports: 8,
    ready: `/${BUCKET}`,
    command(dir, [s3, s3Grpc, master, masterGrpc, volume, volumeGrpc, filer, filerGrpc]) {
      const credentials = [{ accessKey: S3_KEY.id, secretKey: S3_KEY.secret }]
      const actions = ['Admin', 'Read', 'Write', 'List', 'Tagging']
      const config = join(dir, 's3.json')
      writeFileSync(config, JSON.stringify({ identities: [{ name: 'specs', credentials, actions }] }))
      const args = [
        ...['server', `-dir=${dir}`, '-ip=127.0.0.1', '-ip.bind=127.0.0.1', '-filer', '-s3'],
        ...[`-s3.port=${s3}`, `-s3.port.grpc=${s3Grpc}`, `-s3.config=${config}`],
        ...[`-master.port=${master}`, `-master.port.grpc=${masterGrpc}`],
        ...[`-volume.port=${volume}`, `-volume.port.grpc=${volumeGrpc}`, '-volume.max=20'],
        ...[`-filer.port=${filer}`, `-filer.port.grpc=${filerGrpc}`],
        // Nothing that the specs do not ask for, and nothing that leaves this machine.
        ...['-master.telemetry=false', '-s3.port.iceberg=0', '-s3.port.lance=0', '-s3.iam=false'],
        ...['-s3.autoCreateBucket=false', '-master.volumeSizeLimitMB=64', '-master.electionTimeout=1s'],
        ...[`-filer.localSocket=${join(dir, 'filer.sock')}`, `-s3.localSocket=${join(dir, 's3.sock')}`],
      ]
      const sockets = { s3: s3Grpc, master: masterGrpc, volume: volumeGrpc, filer: filerGrpc }
      const leftovers = Object.entries(sockets).map(
        ([part, port]) => `/tmp/seaweedfs-${part}-grpc-${port}.sock`,
      )
      return { command: installed.seaweedfs, args, leftovers }
    },
  })
  // A bucket is a folder of its file server, which asks for no signature.
  await expectOk(`http://127.0.0.1:${server.ports[6]}/buckets/${BUCKET}/`, { method: 'POST' })
  return running(server, 'SeaweedFS', 's3', server.url, s3Env, [S3_KEY.secret])
}

const azurite: Starter = async () => {
  const server = await startAzurite(BUCKET)
  if ('missing' in server) return absent('Azurite', 'az', server.missing)
  return running(server, 'Azurite', 'az', server.endpoint, server.env, [server.secret])
}

/** Needs nothing to be installed. */
export const gcsStub: Starter = async () => {
  const script = join(import.meta.dirname, 'gcs-stub.mjs')
  const server = await startServer({
    ports: 1,
    command: (_, [port]) => ({ command: process.execPath, args: [script, `${port}`, BUCKET] }),
  })
  const secret = 'no-private-key-at-all'
  const account = { private_key: secret, private_key_id: 'none', client_email: 'specs', disable_oauth: true }
  const env = { GOOGLE_SERVICE_ACCOUNT_KEY: JSON.stringify(account), GOOGLE_ALLOW_HTTP: 'true' }
  return running(server, 'a stub of GCS', 'gs', server.url, env, [secret])
}

/** Ignores all conditions: nothing may be entrusted to it. */
export const fauxqs: Starter = async () => {
  const missing = await installNode()
  if (missing) return absent('fauxqs', 's3', missing)
  const script = join(import.meta.dirname, 'fauxqs.mjs')
  const server = await startServer({
    ports: 1,
    command: (_, [port]) => ({ command: process.execPath, args: [script, `${port}`, installed.fauxqs] }),
  })
  await expectOk(`${server.url}/${BUCKET}`, { method: 'PUT' })
  return running(server, 'fauxqs', 's3', server.url, s3Env, [S3_KEY.secret])
}

function running(
  { stop }: { stop(): Promise<void> },
  name: string,
  scheme: Store['scheme'],
  endpoint: string,
  env: Record<string, string>,
  secrets: string[],
): RunningStore {
  return { store: { name, scheme, bucket: BUCKET, endpoint, env, secrets }, stop }
}

export function absent(name: string, scheme: Store['scheme'], missing: string): RunningStore {
  const store = { name, scheme, bucket: BUCKET, endpoint: '', env: {}, secrets: [], missing }
  return { store, stop: async () => {} }
}

/** A store that is there already, and that the environment has credentials for: `s3://bucket`. */
export function given(bucketUrl: string, endpoint: string): Store {
  const [, scheme, bucket] = /^(s3|az|gs):\/\/([^/]+)\/?$/.exec(bucketUrl) ?? []
  if (!scheme || !bucket)
    throw new Error(`--bucket: s3://NAME, az://NAME or gs://NAME is expected, not ${bucketUrl}`)
  const credentials = Object.entries(process.env).filter(([name]) => /^(AWS|AZURE|GOOGLE|HOME$)/.test(name))
  const env = Object.fromEntries(credentials) as Record<string, string>
  const secrets = credentials.flatMap(([name, value]) =>
    /SECRET|KEY$|TOKEN/.test(name) && value ? [value] : [],
  )
  return { name: endpoint || bucketUrl, scheme: scheme as Store['scheme'], bucket, endpoint, env, secrets }
}

/** Where conditions hold. The specs run against each. */
export const fit: Starter[] = [seaweedfs, azurite, gcsStub]
