# Bash completion of salmap.

_salmap()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]-} words=
    COMPREPLY=()

    if [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W "explain sweep merge export sheet render inspect methods plan doctor version help --help --version" -- "$cur"))
        return
    fi

    if [[ $command == help ]]; then
        COMPREPLY=($(compgen -W "explain sweep merge export sheet render inspect methods plan doctor" -- "$cur"))
        return
    fi

    case $prev in
        --target | -t) words="predicted label index: top: margin mean" ;;
        --write | -w) words="map overlay npy figure gradient" ;;
        --show-as) words="auto kitty iterm2 sixel blocks" ;;
        --maps) words="npy none npz png16" ;;
        --overlays) words="all none wrong top:" ;;
        --overlay-format) words="jpeg png" ;;
        --overlay-size) words="full" ;;
        --shard) words="auto auto/" ;;
        --method | -m)
            words="gradient input-x-gradient smoothgrad smoothgrad-squared vargrad integrated-gradients grad-cam hires-cam
                layer-cam"
            ;;
        --quadrature) words="gauss-legendre trapezoid" ;;
        --baseline)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -W "zero black white mean blur" -- "$cur"; compgen -f -- "$cur")
            return
            ;;
        --score) words="logit probability" ;;
        --rule) words="gradient guided deconvnet rectified" ;;
        --modifier) words="abs relu negate none" ;;
        --reduce) words="max mean sum l2" ;;
        --normalize) words="minmax none signed keras-vis" ;;
        --colormap) words="viridis inferno turbo jet gray coolwarm magma cividis rdbu seismic" ;;
        --blend) words="map flat" ;;
        --preset) words="imagenet unit caffe tf raw" ;;
        --recipe)
            words="keras-load-img keras-image-dataset tf-image torchvision timm opencv keras-applications:" ;;
        --fit) words="stretch letterbox center-crop crop-aspect stretch-crop" ;;
        --crop-round) words="even down" ;;
        --resample) words="bilinear nearest bicubic cubic75 lanczos area box hamming" ;;
        --antialias) words="on off" ;;
        --round) words="none passes once opencv torch pillow13" ;;
        --grid) words="half-pixel align-corners asymmetric" ;;
        --order) words="auto rgb bgr gray asis" ;;
        --alpha-over) words="white black drop" ;;
        --exif) words="apply ignore" ;;
        --jpeg-dct) words="accurate fast" ;;
        --pages) words="first channels max" ;;
        --depth) words="auto unit stored 8 10 12 14 16" ;;
        --device) words="auto cpu cuda:0 cuda:all" ;;
        --gpu)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -W "h100 a100 rtx4090 t4 b200" -- "$cur"; compgen -f -X '!*.json' -- "$cur"; compgen -d -- "$cur")
            return
            ;;
        --precision) words="default fp32 tf32 bf16 fp16" ;;
        --label-from) words="column folder" ;;
        --label-as) words="auto name output" ;;
        --out | -o | --root)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
            return
            ;;
        --output | --layer | --at | --coral | --input-size | --sigma | --common-scale | --alpha | --contour | --mean | --std | --scale | --fill | --crop-resize | --crop-share | --batch | -b | --threads | --top-k | --tolerance | --max-failures | --samples | --noise | --seed | --steps | --cam-layer | --max-pixels | --max-memory | --path-column | --label-column | --include | --exclude)
            return
            ;;
    esac
    if [[ -n $words ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
        [[ ${COMPREPLY[0]-} == *: ]] && compopt -o nospace 2>/dev/null
        return
    fi

    if [[ $cur == -* ]]; then
        case $command in
            explain)
                words="--out --write --show --show-as --figure --panel-size --save-gradient --json --quiet --root
                    --path-column --label-column --label-from --label-as --classes --include --exclude --target --method --samples --noise --seed
                    --steps --quadrature --baseline --cam-layer --score --rule --modifier --reduce
                    --sigma --normalize --common-scale --signed --raw-map --colormap --blend --alpha --contour --recipe --preset --fit --order --mean --std --scale --fill
                    --crop-resize --crop-share --crop-round --resample --antialias --round --grid --alpha-over --exif --jpeg-dct --pages --depth --strict --save-preprocess --force --output --layer --at --coral --input-size --device --precision --batch --threads
                    --exact --lean --max-pixels --max-memory --help"
                ;;
            sweep)
                words="--out --maps --overlays --overlay-format --overlay-size --top-k --tolerance --json --quiet --root
                    --path-column --label-column --label-from --label-as --classes --include --exclude
                    --shard --max-failures --restart --retry-failed --extend --dry-run --target --method --samples --noise --seed
                    --steps --quadrature --baseline --cam-layer --score --rule --modifier --reduce
                    --sigma --normalize --common-scale --signed --raw-map --colormap --blend --alpha --contour --recipe --preset --fit --order --mean --std --scale --fill
                    --crop-resize --crop-share --crop-round --resample --antialias --round --grid --alpha-over --exif --jpeg-dct --pages --depth --strict --save-preprocess --force --output --layer --at --coral --input-size --device --precision --batch --threads
                    --exact --lean --max-pixels --max-memory --help"
                ;;
            merge) words="--out --quiet --help" ;;
            export) words="--csv --json --out --timings --help" ;;
            render)
                words="--out --overlay-format --overlay-size --figure --panel-size --figures-only --root --quiet --colormap --blend --alpha --contour
                    --max-pixels --max-memory --help"
                ;;
            sheet) words="--out --sort --reverse --rows --columns --panel-size --max-pixels --max-memory --quiet --help" ;;
            inspect)
                words="--output --layer --at --coral --input-size --json --picture --out --recipe --preset --fit --order --mean --std --scale --fill
                    --crop-resize --crop-share --crop-round --resample --antialias --round --grid --alpha-over --exif --jpeg-dct --pages --depth --save-preprocess --force --help"
                ;;
            doctor) words="--json --help" ;;
            methods) words="--json --help" ;;
            plan)
                words="--output --layer --at --coral --input-size --batch --threads --device --gpu --precision --exact --lean --rule
                    --method --cam-layer --forward --steps --json --help"
                ;;
        esac
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
        return
    fi

    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}
complete -F _salmap salmap
