using System.Text.RegularExpressions;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What the kernels that sum up compile to for an H100, which takes no GPU to see.</summary>
[Trait("Area", "Ilgpu")]
public sealed partial class SummaryPtxTests(PtxCompiler compiler) : IClassFixture<PtxCompiler>
{
    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.F64)]
    public void Values_are_loaded_from_global_memory_and_no_product_can_be_fused(DType dtype)
    {
        var ptx = compiler.Compile(SummaryKernel.Of(dtype).Method);
        var text = ptx.Text;
        Assert.Contains(dtype == DType.F32 ? "ld.global.f32" : "ld.global.f64", text, StringComparison.Ordinal);
        Assert.Contains("ld.shared.f64", text, StringComparison.Ordinal);
        Assert.Empty(ptx.GenericAccesses);
        Assert.Empty(ptx.FusibleOperations);
        foreach (var unwanted in new[] { ".local", "call", ".ftz", "div.full", "div.approx" })
        {
            Assert.DoesNotContain(unwanted, text, StringComparison.Ordinal);
        }

        // The squares go through an integer register, where the assembler cannot fuse them into the addition.
        var products = Product().Matches(text);
        Assert.NotEmpty(products);
        Assert.All(products, product => Assert.Matches($@"mov\.b64\s+%rd\d+, {Regex.Escape(product.Groups["result"].Value)};", text));
        Assert.All(products, product => Assert.DoesNotMatch($@"add\.f64\s+%fd\d+, [^;]*{Regex.Escape(product.Groups["result"].Value)}\b", text));
    }

    [GeneratedRegex(@"mul\.f64\s+(?<result>%fd\d+),", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Product();
}
