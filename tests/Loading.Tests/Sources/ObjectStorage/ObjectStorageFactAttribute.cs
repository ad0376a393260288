using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A test against an S3 server; skipped where the system has no Node, or where nobody has fetched the server.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ObjectStorageFactAttribute : FactAttribute
{
    public ObjectStorageFactAttribute() => Skip = ObjectStorageServer.Missing;
}
