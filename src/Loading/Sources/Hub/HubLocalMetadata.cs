namespace IlgpuLoader.Loading;

/// <summary>What is known of a file of a local folder.</summary>
/// <param name="Commit">The commit that it is of.</param>
/// <param name="Tag">Its ETag there.</param>
internal sealed record HubLocalMetadata(string Commit, string Tag);
