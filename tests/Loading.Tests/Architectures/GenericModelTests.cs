using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class GenericModelTests
{
    [Fact]
    public async Task Each_tensor_is_a_parameter_in_the_order_of_its_modules()
    {
        await using var sample = await WeightsSample.OpenAsync(new SafetensorsBuilder()
            .Add("model.a.weight", "F32", [2, 3], new byte[24])
            .Add("top", "F16", [], new byte[2])
            .Add("model.a.scale", "F8_E4M3", [4], new byte[4])
            .Add("model.b.ids", "I64", [1], new byte[8])
            .Add("model.a.bias", "BF16", [2], new byte[4]));
        using var model = Make(sample, 1, 0);
        Assert.Equal(
            ["top BF16 []", "model.a.weight BF16 [2, 3]", "model.a.scale F8_E4M3 [4]", "model.a.bias BF16 [2]", "model.b.ids I64 [1]"],
            model.NamedParameters().Select(entry => $"{entry.Name} {entry.Parameter.DType.Name} {entry.Parameter.Shape}"));
        Assert.All(sample.Checkpoint.Tensors, tensor => Assert.Equal(tensor.Name, Assert.Single(model.Route(tensor.Name).Targets).Parameter.Name));
        Assert.True(model.Route("model.a").IsUnknown);
        Assert.True(model.Route("model.c.weight").IsUnknown);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public async Task Ranks_share_what_the_names_say_and_together_fill_it(int world)
    {
        (string Name, long[] Shape)[] tensors =
        [
            ("model.embed_tokens.weight", [101, 32]),
            ("model.layers.0.self_attn.q_proj.weight", [32, 32]),
            ("model.layers.0.self_attn.k_proj.weight", [8, 32]),
            ("model.layers.0.self_attn.o_proj.weight", [32, 32]),
            ("model.layers.0.mlp.down_proj.weight", [32, 48]),
            ("model.norm.weight", [32]),
        ];
        await using var sample = await WeightsSample.OpenAsync(tensors);
        var elements = tensors.ToDictionary(tensor => tensor.Name, _ => 0L);
        for (var rank = 0; rank < world; rank++)
        {
            using var model = Make(sample, world, rank);
            foreach (var tensor in sample.Checkpoint.Tensors)
            {
                using var weight = Weight.Lazy(tensor);
                var target = Assert.Single(model.Route(tensor.Name).Targets);
                var written = ModelSample.Record(target, weight).Sum(write => write.ElementCount);
                Assert.Equal(target.Parameter.Shape.ElementCount, written);
                Assert.Equal(tensor.Shape, target.Parameter.WholeShape);
                elements[tensor.Name] += written;
            }
        }

        // Two key and value heads are on two ranks each of four; a norm is on every rank.
        var copies = new Dictionary<string, int> { ["model.layers.0.self_attn.k_proj.weight"] = Math.Max(1, world / 2), ["model.norm.weight"] = world };
        Assert.All(tensors, tensor => Assert.Equal(
            (tensor.Name, new Shape(tensor.Shape).ElementCount * copies.GetValueOrDefault(tensor.Name, 1)), (tensor.Name, elements[tensor.Name])));
    }

    [Fact]
    public async Task A_weight_of_another_shape_is_refused()
    {
        const string Name = "model.layers.0.mlp.up_proj.weight";
        await using var sample = await WeightsSample.OpenAsync((Name, [48, 32]));
        using var model = Make(sample, 2, 1);
        using var weight = ModelSample.Unread(Name, new Shape(50, 32));
        var exception = Assert.Throws<ModelMismatchException>(() => ModelSample.Record(model.Route(Name).Targets[0], weight));
        Assert.Contains("[50, 32]", exception.Message, StringComparison.Ordinal);
        Assert.Contains("rank 1 of 2: a shape of [48, 32] was expected", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a", "a.b", "a.b")]
    [InlineData("a.b", "a", "a")]
    [InlineData("x", "a..b", "a..b")]
    [InlineData("x", "a.", "a.")]
    [InlineData("x", ".a", ".a")]
    public async Task Names_that_are_no_paths_fit_no_layout(string first, string second, string expected)
    {
        await using var sample = await WeightsSample.OpenAsync((first, [1]), (second, [1]));
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => Make(sample, 1, 0));
        Assert.Contains($"the name '{expected}' is no path of modules, or is one that other names go on from", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_weights_none_is_made()
    {
        var exception = Assert.Throws<UnsupportedCheckpointException>(
            () => ModelInitializer.Initialize(ModelSample.Context(ModelSample.Config($$"""{"architectures": ["{{ModelRegistry.GenericArchitecture}}"]}"""))));
        Assert.Contains("no weights were given", exception.Message, StringComparison.Ordinal);
    }

    private static Module Make(WeightsSample sample, int world, int rank) => ModelInitializer.Initialize(
        ModelSample.Context(ModelSample.Config(ModelRegistry.GenericArchitecture, ModelSample.Sizes), world, rank) with { Checkpoint = sample.Checkpoint });
}
