using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>Signed addresses, and those with a password: whatever a command prints, the secret is not in it.</summary>
[Collection(EnvironmentTests.Name)]
public sealed class SecretAddressTests : IAsyncLifetime
{
    private const string Secret = "SECRETSIGNATURE";
    private const string Query = $"?X-Amz-Signature={Secret}.{Secret}#{Secret}";

    private RemoteServer _server = null!;

    private string Address => _server.AddressOf("llama/model.safetensors.index.json") + Query;

    private string Shard => _server.AddressOf("llama/model-00001-of-00002.safetensors") + Query;

    public async Task InitializeAsync()
    {
        _server = await RemoteServer.StartAsync();
        foreach (var path in Directory.EnumerateFiles(Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama")))
        {
            _server.Add($"/llama/{Path.GetFileName(path)}", await File.ReadAllBytesAsync(path));
        }
    }

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [InlineData("inspect", "{}")]
    [InlineData("inspect", "{}", "--model")]
    [InlineData("verify", "{}")]
    [InlineData("audit", "{shard}")]
    [InlineData("hash", "{}", "{}")]
    [InlineData("show", "{}", "model.norm.weight")]
    [InlineData("diff", "{}", "{}")]
    [InlineData("plan", "{}", "--device", "meta")]
    [InlineData("plan", "{}", "--device", "host", "--model")]
    [InlineData("load", "{}", "--device", "host")]
    [InlineData("load", "{}", "--device", "host", "--model")]
    [InlineData("convert", "{}", "out.safetensors")]
    [InlineData("convert", "{}", "out", "--model")]
    [InlineData("shard", "{}", "out", "--tp", "2")]
    public async Task What_succeeds_names_the_address_without_its_signature(params string[] command)
    {
        foreach (var format in new[] { "--verbose", "--json" })
        {
            using var folder = new TemporaryFolder();
            var run = await ToolRun.OfAsync([.. command.Select(argument => argument == "{}" ? Address : argument == "{shard}" ? Shard : argument.StartsWith("out", StringComparison.Ordinal) ? folder[argument] : argument), format]);

            Assert.Equal((0, ""), (run.ExitCode, run.ExitCode == 0 ? "" : run.Error));
            Assert.DoesNotContain(Secret, run.Out + run.Error, StringComparison.Ordinal);
            // Nor in what is written: manifests and metadata.
            foreach (var written in Directory.EnumerateFiles(folder.Path, "*", SearchOption.AllDirectories))
            {
                Assert.Equal(-1, (await File.ReadAllBytesAsync(written)).AsSpan().IndexOf("SECRETSIGNATURE"u8));
            }
        }
    }

    [Theory]
    [InlineData("inspect")]
    [InlineData("verify")]
    [InlineData("audit")]
    [InlineData("hash")]
    [InlineData("plan")]
    [InlineData("load", "--device", "host")]
    [InlineData("load", "--device", "host", "--sharded")]
    [InlineData("serve", "--device", "host", "--urls", "http://127.0.0.1:0")]
    public async Task What_fails_names_the_address_without_its_secrets(params string[] command)
    {
        string[] addresses =
        [
            _server.AddressOf("llama/nothing.safetensors") + Query,
            _server.AddressOf("llama/") + Query,
            Address.Replace("://", $"://user:{Secret}@", StringComparison.Ordinal),
            $"https://user:{Secret}/of@host/model.safetensors",
            $"s3://KEY:{Secret}@bucket/prefix",
            $"gs://user:{Secret}@bucket/file{Query}",
        ];
        foreach (var address in addresses)
        {
            var run = await ToolRun.OfAsync([command[0], address, .. command[1..], "--json", "--verbose"]);
            Assert.InRange(run.ExitCode, 2, 8);
            Assert.DoesNotContain(Secret, run.Out + run.Error, StringComparison.Ordinal);
        }
    }
}
