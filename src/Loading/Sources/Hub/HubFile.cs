namespace IlgpuLoader.Loading;

/// <summary>A file of a repository as the Hub describes it.</summary>
/// <param name="Repository">The repository.</param>
/// <param name="Commit">Its commit, 40 hexadecimal digits.</param>
/// <param name="Path">Its path, checked.</param>
/// <param name="Tag">Its ETag without quotes, checked: what its blob is called.</param>
/// <param name="Length">Its size in bytes.</param>
internal sealed record HubFile(HubRepository Repository, string Commit, string Path, string Tag, long Length);
