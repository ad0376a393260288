namespace IlgpuLoader.Cli.Output;

/// <summary>What a command has fetched from other machines.</summary>
/// <param name="Bytes">The bytes of all bodies.</param>
/// <param name="Requests">The requests, retries and redirects among them.</param>
internal sealed record FetchedTotals(long Bytes, long Requests);
