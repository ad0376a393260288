using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading.Tests;

/// <summary>The machine's calls, and a disk that says how much it has free.</summary>
/// <param name="bytes">How much that is.</param>
internal sealed class GivenRoom(long bytes) : FileSystemCalls
{
    public override long? CountFreeBytes(string folder) => bytes;
}
