using System.Text;
using System.Text.Json;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class ModelConfigTests
{
    [Fact]
    public void A_configuration_is_read_from_bytes_that_may_change_afterwards()
    {
        var bytes = Encoding.UTF8.GetBytes("""{"architectures": ["A", 1, "B"], "n_layer": 2, "n_embd": 3, "n_head": 4, "dtype": "float16", "hidden_size": null}""");
        var config = ModelConfig.Parse("there/config.json", bytes);
        bytes.AsSpan().Fill((byte)'x');
        Assert.Equal(("there/config.json", 2L, 3L, 4L, "float16"), (config.Path, config.LayerCount, config.HiddenSize, config.HeadCount, config.TorchDType));
        Assert.Equal(["A", "B"], config.Architectures.ToArray());
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("1")]
    [InlineData("{")]
    [InlineData("")]
    [InlineData("{\"a\": \"\\ud800\"}")]
    public void What_is_no_object_of_text_is_refused(string json) =>
        Assert.ThrowsAny<JsonException>(() => ModelConfig.Parse("config.json", Encoding.UTF8.GetBytes(json)));
}
