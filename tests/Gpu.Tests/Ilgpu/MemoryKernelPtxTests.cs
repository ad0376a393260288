using System.Reflection;
using System.Text.RegularExpressions;
using ILGPU;
using ILGPU.Runtime.CPU;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What a Hopper GPU's driver gets of each kernel that moves or makes elements.</summary>
[Trait("Area", "Ilgpu")]
public sealed partial class MemoryKernelPtxTests(PtxCompiler compiler) : IClassFixture<PtxCompiler>
{
    [Fact]
    public void Every_kernel_works_on_global_memory_and_stays_in_registers()
    {
        var kernels = Compile(_ => true);
        // Copy and fill in five widths, random values of eight types, two that swap.
        Assert.Equal(20, kernels.Count);
        Assert.All(kernels, ptx =>
        {
            Assert.NotEmpty(ptx.GlobalStores);
            Assert.Empty(ptx.DivergentBranchesSaidUniform);
            Assert.Empty(ptx.GenericAccesses);
            Assert.Empty(ptx.FusibleOperations);
            foreach (var unwanted in new[] { ".local", "call", ".ftz", "div." })
            {
                Assert.DoesNotContain(unwanted, ptx.Text, StringComparison.Ordinal);
            }
        });
    }

    [Fact]
    public void A_word_is_loaded_and_stored_at_once()
    {
        var copies = Compile(method => method.Name == nameof(StridedKernels.Copy));
        Assert.Equal([1, 2, 4, 8, 16], copies.Select(ptx => Assert.Single(ptx.GlobalLoads)));
        Assert.Equal([1, 2, 4, 8, 16], copies.Select(ptx => Assert.Single(ptx.GlobalStores)));
        var fills = Compile(method => method.Name == nameof(StridedKernels.Fill) && method.DeclaringType == typeof(StridedKernels));
        Assert.Equal([1, 2, 4, 8, 16], fills.Select(ptx => Assert.Single(ptx.GlobalStores)));
        var swap = Assert.Single(Compile(method => method.Name == nameof(SwapKernels.SwapWide)));
        Assert.Equal((16, 16), (Assert.Single(swap.GlobalLoads), Assert.Single(swap.GlobalStores)));
    }

    [Fact]
    public void Random_values_are_stored_four_at_once_and_no_product_can_be_fused()
    {
        var kernels = Compile(method => method.DeclaringType == typeof(UniformKernels));
        Assert.Equal([.. Codecs.Targets.Select(target => Math.Min(16, 4 * target.BlockSize))], kernels.Select(ptx => ptx.GlobalStores.Max()));
        Assert.All(kernels, ptx =>
        {
            // Each value's last product goes through an integer register, where the assembler cannot fuse it into the sum.
            var products = Product().Matches(ptx.Text).Select(match => match.Groups["result"].Value).ToHashSet(StringComparer.Ordinal);
            var terms = Sum().Matches(ptx.Text).SelectMany(match => new[] { match.Groups["left"].Value, match.Groups["right"].Value }).ToList();
            Assert.True(products.Count >= 5, $"{products.Count} products");
            Assert.True(terms.Count >= 10, $"{terms.Count} terms");
            Assert.DoesNotContain(terms, products.Contains);
        });
    }

    private List<PtxText> Compile(Func<MethodInfo, bool> filter)
    {
        using var context = Context.Create(builder => builder.CPU(CPUDevice.Default).Optimize(OptimizationLevel.O2));
        using var accelerator = context.CreateCPUAccelerator(0);
        return [.. new MemoryKernels(accelerator).Methods.Where(filter).Select(compiler.Compile)];
    }

    [GeneratedRegex(@"mul\.f32\s+(?<result>%f\d+),", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Product();

    [GeneratedRegex(@"add\.f32\s+%f\d+,\s*(?<left>[^,]+),\s*(?<right>[^;]+);", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Sum();
}
