using System.Buffers.Binary;
using System.Net;
using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Samples;

/// <summary>The sample that answers from a loaded tensor.</summary>
public sealed class HostedServiceTests
{
    private const int Width = 64;

    [Fact]
    public async Task Embedding_TheModelIsLoaded_IsTheRowOfTheFile()
    {
        await using var service = await SampleService.StartAsync();
        await service.UntilAsync("/health/ready", HttpStatusCode.OK);

        var (answer, document) = await service.GetAsync("/embedding/17");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(17, document.GetProperty("token").GetInt64());
        Assert.Equal(1, document.GetProperty("modelVersion").GetInt64());
        Assert.Equal(RowOfFile(17), document.GetProperty("values").EnumerateArray().Select(value => value.GetSingle()));

        var (beyond, problem) = await service.GetAsync("/embedding/512");
        Assert.Equal(HttpStatusCode.NotFound, beyond.StatusCode);
        Assert.Equal("There is no token 512; there are 0 to 511.", problem.GetProperty("detail").GetString());
    }

    [Fact]
    public async Task Embedding_TheModelIsNotThere_IsUnavailableWhileTheProcessLives()
    {
        // Required, but not loaded by itself: as it is before and during a load, for as long as the test needs.
        await using var service = await SampleService.StartAsync(
            "IlgpuLoader:Models:tiny-llama:LoadOnStart=false", "IlgpuLoader:Models:tiny-llama:Required=true");

        var (answer, problem) = await service.GetAsync("/embedding/17");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Equal(TimeSpan.FromSeconds(1), answer.Headers.RetryAfter?.Delta);
        Assert.Equal("The model is Unloaded.", problem.GetProperty("detail").GetString());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await service.Client.GetAsync("/health/ready")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await service.Client.GetAsync("/health/live")).StatusCode);
    }

    // As the format has it: a length, a header of JSON, and the bytes; a BF16 is the upper half of an F32.
    private static float[] RowOfFile(int token)
    {
        const string name = "model.embed_tokens.weight";
        foreach (var path in Directory.EnumerateFiles(Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama"), "*.safetensors"))
        {
            var bytes = File.ReadAllBytes(path);
            var length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
            using var header = JsonDocument.Parse(bytes.AsMemory(8, length));
            if (header.RootElement.TryGetProperty(name, out var tensor))
            {
                var begin = 8 + length + tensor.GetProperty("data_offsets")[0].GetInt32() + (token * Width * 2);
                return [.. Enumerable.Range(0, Width).Select(i =>
                    BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(begin + (i * 2))) << 16))];
            }
        }

        throw new InvalidDataException($"{name} is in no file of the sample.");
    }
}
