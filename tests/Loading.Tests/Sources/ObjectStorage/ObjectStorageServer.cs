using System.Diagnostics;
using System.Globalization;
using Amazon.Runtime;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>
/// An S3 server on this machine (s3rver) over a folder; one for all tests of a class, which each have a bucket of their own. Objects are put there as it keeps them, not through what is tested.
/// </summary>
public sealed class ObjectStorageServer : IAsyncLifetime, IDisposable
{
    private const string Folder = "tests/Loading.Tests/Sources/ObjectStorage/Server";

    // What s3rver takes, and nothing else has.
    private const string Account = "S3RVER";

    private readonly TemporaryFolder _folder = new();
    private Process? _process;

    /// <summary>Why there is none on this machine; null where there is.</summary>
    public static string? Missing { get; } = SystemNode.Missing
        ?? (Directory.Exists(Path.Combine(RepositoryPaths.Root, Folder, "node_modules", "s3rver")) ? null : $"s3rver is not there (looked in {Folder}; run npm ci in it).");

    /// <summary>Where it is.</summary>
    public Uri Endpoint { get; private set; } = new("http://127.0.0.1/");

    /// <summary>Settings that it answers.</summary>
    public S3Settings Settings => new() { Endpoint = Endpoint, Credentials = new BasicAWSCredentials(Account, Account) };

    public async Task InitializeAsync()
    {
        if (Missing is not null)
        {
            return;
        }

        _process = Process.Start(new ProcessStartInfo(SystemNode.Path, [Path.Combine(RepositoryPaths.Root, Folder, "server.mjs"), _folder.Path])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            UseShellExecute = false,
        })!;
        var port = await _process.StandardOutput.ReadLineAsync();
        Endpoint = new Uri($"http://127.0.0.1:{int.Parse(port!, CultureInfo.InvariantCulture)}/");
    }

    /// <summary>Makes an empty bucket.</summary>
    public void MakeBucket(string bucket) => Directory.CreateDirectory(_folder[bucket]);

    /// <summary>Puts an object, or another in its place.</summary>
    public void Put(string bucket, string key, byte[] content)
    {
        var path = _folder.Write($"{bucket}/{key}._S3rver_object", content);
        File.Delete(path + ".md5");
    }

    /// <summary>Puts the files of a folder below a prefix.</summary>
    public void PutFolder(string bucket, string prefix, string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder))
        {
            Put(bucket, $"{prefix}/{Path.GetFileName(file)}", File.ReadAllBytes(file));
        }
    }

    public async Task DisposeAsync()
    {
        if (_process is not null)
        {
            _process.StandardInput.Close();
            await _process.WaitForExitAsync();
        }
    }

    public void Dispose()
    {
        _process?.Dispose();
        _folder.Dispose();
    }
}
