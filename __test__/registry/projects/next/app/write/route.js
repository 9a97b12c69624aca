import { atomicWrite, readIndex } from '@pipeline/atomic'

export const dynamic = 'force-dynamic'

export async function GET() {
  await atomicWrite('written.json', '{ "by": "next" }')
  return Response.json((await readIndex('written.json')).value)
}
