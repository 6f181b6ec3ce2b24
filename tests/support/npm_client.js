// CoAP client on npm's coap; the arguments and output lines are those of plain_client.py, as far as they go here.
'use strict'
const coap = require('coap')
const fs = require('fs')
const { parseArgs } = require('util')

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		method: { type: 'string', default: 'get' },
		file: { type: 'string' },
		observe: { type: 'string', default: '0' },
		'proxy-uri': { type: 'string' },
		'proxy-scheme': { type: 'string' },
		timeout: { type: 'string', default: '10' }
	}
})
const uri = new URL(positionals[0])
const proxy = values['proxy-uri'] || values['proxy-scheme']
const [host, port] = proxy ? proxy.split(':') : [uri.hostname, uri.port]
const wanted = Number(values.observe)
const started = process.hrtime.bigint()

function seconds () {
	return Number(process.hrtime.bigint() - started) / 1e9
}

function say (message, payload, more) {
	console.log(JSON.stringify({ n: 0, code: message.code, seconds: seconds(), size: payload.length,
		payload: payload.toString('hex'), ...more }))
}

function uint (value) { // as few bytes as it takes
	const bytes = []
	for (; value > 0; value = Math.floor(value / 256)) bytes.unshift(value % 256)
	return Buffer.from(bytes)
}

function fail (error) {
	console.log(JSON.stringify({ n: 0, error: String(error), seconds: seconds() }))
	process.exit(0)
}

const target = { hostname: host, port: Number(port), method: values.method.toUpperCase() }
if (values['proxy-uri']) {
	target.proxyUri = uri.href
} else {
	target.pathname = uri.pathname
	target.query = uri.search.slice(1) || undefined
}
if (values['proxy-scheme']) {
	target.options = { 'Proxy-Scheme': Buffer.from('coap'), 'Uri-Host': Buffer.from(uri.hostname), 'Uri-Port': uint(Number(uri.port)) }
}
if (wanted) target.observe = true

setTimeout(() => fail('timeout'), 1000 * Number(values.timeout))
const request = coap.request(target)
request.on('error', fail)
request.on('response', response => {
	if (!wanted) {
		say(response, response.payload)
		process.exit(0)
	}
	let seen = 0
	response.on('data', data => {
		say(response, data, seen ? { notify: seen } : {})
		if (++seen > wanted) {
			response.close()
			setTimeout(() => process.exit(0), 300)
		}
	})
})
if (values.file) {
	request.setOption('Block1', Buffer.of(6)) // blocks of 1024
	request.write(fs.readFileSync(values.file))
}
request.end()
