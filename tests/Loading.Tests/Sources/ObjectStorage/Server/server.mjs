// An S3 server over a folder, which must be there: server.mjs FOLDER. Writes its port, and ends with its input, so that no test leaves one behind.
import S3rver from 's3rver';

process.stdin.on('end', () => process.exit(0)).resume();
const server = new S3rver({ directory: process.argv[2], address: '127.0.0.1', port: 0, silent: true, vhostBuckets: false });
const { port } = await server.run();
console.log(port);
