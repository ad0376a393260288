namespace IlgpuLoader.Loading;

/// <summary>A revision of a repository as the Hub describes it.</summary>
/// <param name="Commit">Its commit, 40 hexadecimal digits.</param>
/// <param name="Files">The paths of its files, each checked.</param>
internal sealed record HubRevision(string Commit, IReadOnlyList<string> Files);
